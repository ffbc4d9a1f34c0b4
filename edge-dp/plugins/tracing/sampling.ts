/** Whether a share of traces is to be seen: the same for a trace wherever it is asked. */
export function isSampled(traceId: string, rate: number): boolean {
  if (rate >= 1) return true;
  if (rate <= 0) return false;
  return Number.parseInt(traceId.slice(-8), 16) < rate * 0x1_0000_0000;
}
