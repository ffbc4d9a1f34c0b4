import { mustBeRecord } from '../../shared/record.ts';
import type { StoredResponse } from './stored-response.ts';

/** What is void of what was asked of origins until `at` (milliseconds since the epoch): all, or what `name` says. */
export interface Purge {
  readonly of: 'all' | 'plugin' | 'key' | 'target';
  /** Id of a plugin's configuration, a key, or a URI; empty for `all`. */
  readonly name: string;
  readonly at: number;
}

/** What comes after a `version` of some `epoch`. */
export interface PurgeNews {
  readonly epoch: string;
  readonly version: number;
  readonly purges: readonly Purge[];
}

/** Purges that are told one by one; whoever has missed older ones is told that everything from before them is void. */
const MOST_TOLD = 1_000;

/** The purges of a node, in order, for those who ask what is new. */
export class PurgeLog {
  /** Counts anew with every life. */
  readonly #epoch = crypto.randomUUID();
  readonly #list: Purge[] = [];
  #dropped = 0;
  #droppedUntil = 0;

  add(purge: Purge): void {
    this.#list.push(purge);
    if (this.#list.length <= MOST_TOLD) return;
    const gone = this.#list.splice(0, MOST_TOLD / 2);
    this.#dropped += gone.length;
    this.#droppedUntil = gone.at(-1)?.at ?? this.#droppedUntil;
  }

  since(epoch: string | null, version: number): PurgeNews {
    const known = epoch === this.#epoch ? version : 0;
    const behind = known < this.#dropped;
    return {
      epoch: this.#epoch,
      version: this.#dropped + this.#list.length,
      purges: behind
        ? [{ of: 'all', name: '', at: this.#droppedUntil }, ...this.#list]
        : this.#list.slice(known - this.#dropped),
    };
  }
}

/** Purges by key and by plugin that are told apart. */
const MOST_NAMED = 10_000;
/** URIs share so many times of their last purge, so that writes without end take no more memory. */
const BUCKETS = 1 << 16;

/** What the purges one has heard of have made void. */
export class PurgeView {
  #all = Number.NEGATIVE_INFINITY;
  readonly #named = new Map<string, number>();
  #targets: Float64Array | null = null;

  add({ of, name, at }: Purge): void {
    switch (of) {
      case 'all':
        this.#all = Math.max(this.#all, at);
        return;
      case 'target':
        this.#targets ??= new Float64Array(BUCKETS);
        this.#targets[bucketOf(name)] = Math.max(at, this.#targets[bucketOf(name)] ?? 0);
        return;
      default:
        this.#named.set(`${of} ${name}`, Math.max(at, this.#named.get(`${of} ${name}`) ?? 0));
        if (this.#named.size <= MOST_NAMED) return;
        this.#named.clear();
        this.#all = Math.max(this.#all, at);
    }
  }

  voids({ requestedAt, plugin, primary, target }: StoredResponse): boolean {
    if (requestedAt <= this.#all) return true;
    if (this.#targets !== null && requestedAt <= (this.#targets[bucketOf(target)] ?? 0)) return true;
    if (this.#named.size === 0) return false;
    return (
      requestedAt <= (this.#named.get(`plugin ${plugin}`) ?? 0) ||
      requestedAt <= (this.#named.get(`key ${primary}`) ?? 0)
    );
  }
}

/** FNV-1a. */
function bucketOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % BUCKETS;
}

/** Throws a `TypeError` for what is no such news. */
export function parsePurgeNews(value: unknown): PurgeNews {
  const { epoch, version, purges } = mustBeRecord(value, 'the news');
  if (typeof epoch !== 'string' || typeof version !== 'number' || !Array.isArray(purges))
    throw new TypeError('no news of purges');
  return { epoch, version, purges: purges.flatMap(parsePurge) };
}

/** None for what is no purge. */
export function parsePurge(value: unknown): Purge[] {
  const { of, name, at } = mustBeRecord(value, 'a purge');
  if (typeof name !== 'string' || typeof at !== 'number') return [];
  return of === 'all' || of === 'plugin' || of === 'key' || of === 'target' ? [{ of, name, at }] : [];
}
