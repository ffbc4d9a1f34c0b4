/** Bytes by key in the cache of the edge. */
export interface EdgeCache {
  /** Null: there is nothing under that key. */
  get(key: string): Promise<Uint8Array | null>;
  /** `ttl` in seconds; `tags`: what an operator may purge by, with Cloudflare's own means. */
  put(
    key: string,
    bytes: Uint8Array<ArrayBuffer>,
    about: { readonly ttl: number; readonly tags: string },
  ): Promise<void>;
}
