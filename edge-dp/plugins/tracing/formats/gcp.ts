import { decimal, type Format, fromDecimal, isId, NOTHING } from '../trace-context.ts';

/** Google Cloud's `X-Cloud-Trace-Context` (https://cloud.google.com/trace/docs/trace-context#legacy-http-header). */
export const gcp: Format = {
  extract(headers) {
    const [, traceId = '', span = '', flag] =
      /^([0-9a-f]{32})\/(\d{1,20})(?:;o=([01]))?$/i.exec(headers.get('x-cloud-trace-context') ?? '') ?? [];
    const spanId = fromDecimal(span, 8);
    if (!isId(traceId, 32) || spanId === null) return null;
    return { ...NOTHING, traceId: traceId.toLowerCase(), spanId, sampled: flag === '1' };
  },
  inject(headers, { traceId, spanId, sampled }) {
    const id = traceId.padStart(32, '0');
    headers.set('x-cloud-trace-context', `${id}/${decimal(spanId)};o=${sampled ? '1' : '0'}`);
    return id;
  },
};
