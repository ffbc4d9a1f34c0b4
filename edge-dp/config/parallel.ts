/**
 * Runs `work` over all items, at most `width` at a time, and returns the results in the items' order. The first failure
 * is thrown, and no further item is begun.
 */
export async function inParallel<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results = new Array<R>(items.length);
  const rest = items.entries();
  let failed = false;
  const lane = async (): Promise<void> => {
    for (const [position, item] of rest) {
      if (failed) return;
      try {
        results[position] = await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}
