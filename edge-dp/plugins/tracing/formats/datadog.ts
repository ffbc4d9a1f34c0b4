import { decimal, type Format, fromDecimal, NOTHING } from '../trace-context.ts';

/** Datadog's headers, with decimal ids of 64 bits; callers may have traces of 128. */
export const datadog: Format = {
  extract(headers) {
    const priority = headers.get('x-datadog-sampling-priority');
    const trace = headers.get('x-datadog-trace-id');
    if (priority === null && trace === null) return null;
    const sampled = priority === null ? null : DECISIONS.get(priority);
    if (sampled === undefined) return null;
    const traceId = trace === null ? null : fromDecimal(trace.trim(), 16);
    const parent = headers.get('x-datadog-parent-id');
    const spanId = traceId === null || parent === null ? null : fromDecimal(parent.trim(), 8);
    return { ...NOTHING, traceId: traceId === null ? null : widened(traceId), spanId, sampled };
  },
  inject(headers, { traceId, spanId, sampled }) {
    const id = decimal(traceId);
    headers.set('x-datadog-trace-id', id);
    headers.set('x-datadog-parent-id', decimal(spanId));
    headers.set('x-datadog-sampling-priority', sampled ? '1' : '0');
    return id;
  },
};

/** As in Kong, only eight whole bytes go on as an id of 64 bits where a format knows both lengths. */
function widened(traceId: string): string {
  return traceId.startsWith('00') ? traceId.padStart(32, '0') : traceId;
}

const DECISIONS: ReadonlyMap<string, boolean> = new Map([
  ['2', true],
  ['1', true],
  ['0', false],
  ['-1', false],
]);
