import { type Format, isHex, isId, NOTHING } from '../trace-context.ts';

/** W3C Trace Context, version 00. `tracestate` passes as it is. */
export const w3c: Format = {
  extract(headers) {
    const parts = headers.get('traceparent')?.trim().split('-') ?? [];
    const [version, traceId = '', spanId = '', flags = ''] = parts;
    if (version !== '00' || parts.length !== 4) return null;
    if (!isId(traceId, 32) || !isId(spanId, 16) || flags.length !== 2 || !isHex(flags)) return null;
    return {
      ...NOTHING,
      traceId: traceId.toLowerCase(),
      spanId: spanId.toLowerCase(),
      sampled: Number.parseInt(flags, 16) % 2 === 1,
    };
  },
  inject(headers, { traceId, spanId, sampled }) {
    const id = traceId.padStart(32, '0');
    headers.set('traceparent', `00-${id}-${spanId}-${sampled ? '01' : '00'}`);
    return id;
  },
};
