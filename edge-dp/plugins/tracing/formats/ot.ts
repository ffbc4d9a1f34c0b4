import { baggageOf, type Format, isHex, low64, NOTHING } from '../trace-context.ts';

/** OpenTracing's headers (`ot-tracer-*`), as its basic tracers have them. */
export const ot: Format = {
  extract(headers) {
    const traceId = headers.get('ot-tracer-traceid');
    const spanId = headers.get('ot-tracer-spanid');
    const said = headers.get('ot-tracer-sampled');
    if (traceId === null && spanId === null && said === null) return null;
    const sampled = said === '1' || said === 'true' ? true : said === '0' || said === 'false' ? false : null;
    const sampling = { ...NOTHING, sampled, baggage: baggageOf(headers, BAGGAGE) };
    if (traceId === null || !isHex(traceId) || (traceId.length !== 16 && traceId.length !== 32)) return sampling;
    if (spanId !== null && !(spanId.length === 16 && isHex(spanId))) return sampling;
    return { ...sampling, traceId: traceId.toLowerCase(), spanId: spanId?.toLowerCase() ?? null };
  },
  inject(headers, { traceId, fresh, spanId, sampled, baggage }) {
    // Its trace ids have 64 bits; a longer one that a client sent stays what it was.
    const id = fresh || SHORT.test(traceId) ? low64(traceId) : traceId;
    headers.set('ot-tracer-traceid', id);
    headers.set('ot-tracer-spanid', spanId);
    headers.set('ot-tracer-sampled', sampled ? '1' : '0');
    for (const [name, value] of baggage) headers.set(BAGGAGE + name, value);
    return id;
  },
};

/** An id that fits into 64 bits, as other formats widen it. */
const SHORT = /^0{16}.{16}$/;
const BAGGAGE = 'ot-baggage-';
