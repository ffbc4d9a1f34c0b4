import { messageOf } from '../../../shared/thrown.ts';
import { pack, type StoredResponse, unpack } from '../../durable/stored-response.ts';
import type { EdgeCache } from '../../http/edge-cache.ts';
import type { Responses, Services } from '../runtime/services.ts';
import type { NodeResponses } from './node-responses.ts';

/** Bytes of one response at most. */
const LARGEST = 8 << 20;
/** Milliseconds between two lines in the log about a cache that fails. */
const COMPLAINT = 60_000;

/** Copies in the cache of the edge. What is void of them is known from the node's memory, which hears of purges. */
export class EdgeResponses implements Responses {
  readonly largest = LARGEST;
  readonly #cache: EdgeCache;
  readonly #memory: Pick<NodeResponses, 'purges' | 'invalidate'>;
  readonly #log: Services['log'];
  #complainedAt = 0;

  constructor(cache: EdgeCache, memory: Pick<NodeResponses, 'purges' | 'invalidate'>, log: Services['log']) {
    this.#cache = cache;
    this.#memory = memory;
    this.#log = log;
  }

  async find(key: string): Promise<StoredResponse | null> {
    const purges = await this.#memory.purges();
    const found = await this.#tolerating(async () => {
      const packed = await this.#cache.get(key);
      return packed === null ? null : unpack(packed);
    });
    return found === null || purges.voids(found) || found.until <= Date.now() ? null : found;
  }

  async keep(response: StoredResponse): Promise<void> {
    const ttl = Math.floor((response.until - Date.now()) / 1000);
    if (ttl <= 0) return;
    const tags = ['holdfast', `holdfast-plugin-${response.plugin}`, `holdfast-key-${response.primary}`].join(',');
    await this.#tolerating(async () => {
      await this.#cache.put(response.key, pack(response), { ttl, tags });
      return null;
    });
  }

  invalidate(target: string): Promise<void> {
    return this.#memory.invalidate(target);
  }

  /** Null: it failed, which is told to the log. */
  async #tolerating<T>(ask: () => Promise<T | null>): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      const now = Date.now();
      if (Math.abs(now - this.#complainedAt) > COMPLAINT) {
        this.#complainedAt = now;
        this.#log('warn', `the edge's cache does not answer, origins are asked instead: ${messageOf(error)}`);
      }
      return null;
    }
  }
}
