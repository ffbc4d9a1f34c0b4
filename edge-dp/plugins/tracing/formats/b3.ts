import type { HeaderFields } from '../../../http/fields.ts';
import { type Format, type Incoming, isHex, isId, NOTHING } from '../trace-context.ts';

/** B3 of Zipkin, in several headers or in one (https://github.com/openzipkin/b3-propagation). Both are read; the one header is believed first. */
export const b3: Format = {
  extract(headers) {
    const one = headers.get('b3');
    const single = one === null ? null : readSingle(one);
    const several = NAMES.some((name) => headers.has(name)) ? readSeveral(headers) : null;
    if (single === null) return several;
    if (several === null) return single;
    const ids = single.traceId === null ? several : single;
    return { ...ids, sampled: single.sampled ?? several.sampled, debug: single.debug || several.debug, single: true };
  },
  inject(headers, { traceId, spanId, parentId, sampled, debug }) {
    headers.set('x-b3-traceid', traceId);
    headers.set('x-b3-spanid', spanId);
    if (parentId === null) headers.delete('x-b3-parentspanid');
    else headers.set('x-b3-parentspanid', parentId);
    // The flag says that it is sampled.
    if (debug) headers.set('x-b3-flags', '1');
    else headers.set('x-b3-sampled', sampled ? '1' : '0');
    return traceId;
  },
};

export const b3Single: Format = {
  extract: () => null,
  inject(headers, { traceId, spanId, parentId, sampled, debug }) {
    const decision = debug ? 'd' : sampled ? '1' : '0';
    headers.set('b3', `${traceId}-${spanId}-${decision}${parentId === null ? '' : `-${parentId}`}`);
    return traceId;
  },
};

const NAMES = ['x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags'] as const;

/** A header that cannot be used is as good as none, but says that B3 is spoken. */
function readSingle(value: string): Incoming {
  const single = { ...NOTHING, single: true };
  if (value === '0' || value === '1' || value === 'd') return { ...single, ...decisionOf(value) };
  const [traceId = '', spanId = '', decision = '', parentId = ''] = value.split('-');
  if (!isId(traceId, 16, 32) || !isId(spanId, 16) || (parentId !== '' && !isId(parentId, 16))) return single;
  if (!/^[01d]?$/.test(decision)) return single;
  return {
    ...single,
    ...decisionOf(decision),
    traceId: traceId.toLowerCase(),
    spanId: spanId.toLowerCase(),
    parentId: parentId === '' ? null : parentId.toLowerCase(),
  };
}

function decisionOf(value: string): Pick<Incoming, 'sampled' | 'debug'> {
  const sampled = value === '1' || value === 'd' ? true : value === '0' ? false : null;
  return { sampled, debug: value === 'd' };
}

function readSeveral(headers: HeaderFields): Incoming {
  const debug = headers.get('x-b3-flags') === '1';
  const said = headers.get('x-b3-sampled');
  const decided = said === '1' || said === 'true' ? true : said === '0' || said === 'false' ? false : null;
  const sampling = { ...NOTHING, sampled: debug ? true : decided, debug };
  const traceId = headers.get('x-b3-traceid');
  const spanId = headers.get('x-b3-spanid');
  const parentId = headers.get('x-b3-parentspanid');
  if (traceId === null || !isId(traceId, 16, 32)) return sampling;
  if (spanId !== null && !isId(spanId, 16)) return sampling;
  if (parentId !== null && !(parentId.length === 16 && isHex(parentId))) return sampling;
  return {
    ...sampling,
    traceId: traceId.toLowerCase(),
    spanId: spanId?.toLowerCase() ?? null,
    parentId: parentId?.toLowerCase() ?? null,
  };
}
