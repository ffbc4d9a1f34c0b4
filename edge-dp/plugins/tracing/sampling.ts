/** Hex digits of a trace id that decide: Kong's first eight bytes, read from the last, as many as a number holds exactly. */
const DECIDING = [14, 12, 10, 8, 6, 4];

/**
 * Whether a share of traces is to be seen: the same for a trace wherever it is asked, also of a Kong. Ids of less than eight bytes
 * are not.
 */
export function isSampled(traceId: string, rate: number): boolean {
  if (rate >= 1) return true;
  if (rate <= 0) return false;
  const place = DECIDING.reduce((sum, at) => sum * 0x100 + Number.parseInt(traceId.slice(at, at + 2), 16), 0);
  return place < rate * 0x100 ** DECIDING.length;
}
