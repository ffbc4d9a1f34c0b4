import { baggageOf, type Format, isHex, NOTHING } from '../trace-context.ts';

/** Jaeger's `uber-trace-id` (https://www.jaegertracing.io/docs/1.76/client-libraries/#propagation-format). */
export const jaeger: Format = {
  extract(headers) {
    const parts = headers.get('uber-trace-id')?.split(':') ?? [];
    const [traceId = '', spanId = '', parentId = '', flags = ''] = parts;
    if (parts.length !== 4 || !parts.every(isHex) || flags.length > 2) return null;
    if (traceId.length > 32 || !/[^0]/.test(traceId) || spanId.length > 16 || !/[^0]/.test(spanId)) return null;
    return {
      ...NOTHING,
      // Zeros in front may be left out. As in Kong, only eight whole bytes are taken for an id of 64 bits.
      traceId: traceId.toLowerCase().padStart(traceId.length === 15 || traceId.length === 16 ? 16 : 32, '0'),
      spanId: spanId.toLowerCase().padStart(16, '0'),
      parentId: parentId.length === 16 && /[^0]/.test(parentId) ? parentId.toLowerCase() : null,
      sampled: Number.parseInt(flags, 16) % 2 === 1,
      baggage: baggageOf(headers, BAGGAGE),
    };
  },
  inject(headers, { traceId, spanId, parentId, sampled, baggage }) {
    headers.set('uber-trace-id', `${traceId}:${spanId}:${parentId ?? '0'}:${sampled ? '01' : '00'}`);
    for (const [name, value] of baggage) headers.set(BAGGAGE + name, value);
    return traceId;
  },
};

const BAGGAGE = 'uberctx-';
