/**
 * Waits for something that is sure to happen, asking again and again. Rejects after `limit` milliseconds with what is missing, as it
 * is called or, unless it is called anything, as the condition is written.
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = `that ${String(condition)}`,
  limit = 100_000,
): Promise<void> {
  const end = Date.now() + limit;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${limit / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
