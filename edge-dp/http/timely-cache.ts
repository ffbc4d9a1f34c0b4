import type { EdgeCache } from './edge-cache.ts';

/** A cache that is worth so many milliseconds of waiting: one that takes longer has nothing, and nobody waits for it to keep something. */
export function timelyCache(cache: EdgeCache, patience: number): EdgeCache {
  return {
    get: (key) => within(patience, cache.get(key), null),
    put: (key, bytes, about) => within(patience, cache.put(key, bytes, about), undefined),
  };
}

async function within<T>(limit: number, work: Promise<T>, otherwise: T): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), limit);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
