import type { EdgeCache } from '../edge-cache.ts';

/** The Cache API of the runtime: on Cloudflare each data center has its own. */
export function edgeCache(): EdgeCache {
  // Not before a request: the runtime allows no I/O outside of one.
  let opened: Promise<Cache> | null = null;
  const cache = (): Promise<Cache> => {
    opened ??= caches.open('holdfast');
    return opened;
  };
  return {
    async get(key) {
      const kept = await (await cache()).match(urlOf(key));
      return kept === undefined ? null : new Uint8Array(await kept.arrayBuffer());
    },
    async put(key, bytes, { ttl, tags }) {
      const headers = {
        'Cache-Control': `public, max-age=${ttl}`,
        'Cache-Tag': tags,
        'Content-Type': 'application/octet-stream',
      };
      await (await cache()).put(urlOf(key), new Response(bytes, { headers }));
    },
  };
}

/** Nobody's name: only the Worker's own questions to the cache have it. */
function urlOf(key: string): string {
  return `https://copies.holdfast.invalid/${key}`;
}
