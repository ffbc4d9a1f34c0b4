import { type Format, isHex, isId, NOTHING } from '../trace-context.ts';

/** AWS X-Ray's tracing header (https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader). */
export const aws: Format = {
  extract(headers) {
    const header = headers.get('x-amzn-trace-id');
    if (header === null) return null;
    const parts = new Map<string, string>();
    for (const part of header.split(';')) {
      const at = part.indexOf('=');
      if (at > 0) parts.set(part.slice(0, at).trim(), part.slice(at + 1).trim());
    }
    const [version, time = '', rest = ''] = parts.get('Root')?.split('-') ?? [];
    if (version !== '1' || time.length !== 8 || rest.length !== 24 || !isId(time + rest, 32)) return null;
    const spanId = parts.get('Parent') ?? null;
    if (spanId !== null && !(spanId.length === 16 && isHex(spanId))) return null;
    const decision = parts.get('Sampled') ?? null;
    // `?` asks us to decide.
    const sampled = decision === '1' ? true : decision === '0' ? false : null;
    return { ...NOTHING, traceId: (time + rest).toLowerCase(), spanId: spanId?.toLowerCase() ?? null, sampled };
  },
  inject(headers, { traceId, spanId, sampled }) {
    const id = traceId.padStart(32, '0');
    const root = `Root=1-${id.slice(0, 8)}-${id.slice(8)}`;
    headers.set('x-amzn-trace-id', `${root};Parent=${spanId};Sampled=${sampled ? '1' : '0'}`);
    return id;
  },
};
