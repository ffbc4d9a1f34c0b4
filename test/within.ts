/** What a promise comes to; rejects after `limit` milliseconds with what is missing. */
export async function within<T>(promise: Promise<T>, what: string, limit: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`waited ${limit / 1000} s for ${what}`)), limit);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
