import { ByteCache } from '../plugins/services/byte-cache.ts';
import { type Purge, PurgeLog, PurgeView, parsePurge } from './purges.ts';
import type { ResponseQuestion } from './state-messages.ts';
import { pack, type StoredResponse, unpack, weightOf } from './stored-response.ts';

/** The part of a Durable Object's storage used here. */
interface Storage {
  get(name: string): Promise<unknown>;
  put(name: string, value: unknown): Promise<void>;
}

/** Purges of the Admin API that outlive the process: other processes of the node may not have heard of them. */
const KEPT_PURGES = 100;

/** Bytes of a body that is shown; longer ones would not fit into a message to the control plane. */
const MOST_SHOWN = 32 << 10;

/** The copies of answers of a whole node, in memory, and what was purged of them. */
export class ResponseKeeper {
  readonly #kept: ByteCache<StoredResponse>;
  readonly #log = new PurgeLog();
  readonly #view = new PurgeView();
  readonly #storage: Storage;
  #ordered: readonly Purge[] = [];
  #restored: Promise<void> | null = null;

  constructor(storage: Storage, maxBytes: number) {
    this.#storage = storage;
    this.#kept = new ByteCache(maxBytes);
  }

  /** To be waited for before anything is asked. */
  restore(): Promise<void> {
    this.#restored ??= this.#read().catch((error: unknown) => {
      // A disk that does not answer for a moment: the next finds out anew.
      this.#restored = null;
      throw error;
    });
    return this.#restored;
  }

  async #read(): Promise<void> {
    const kept = await this.#storage.get('purges');
    this.#ordered = Array.isArray(kept) ? kept.flatMap(parsePurge) : [];
    for (const purge of this.#ordered) this.#note(purge);
  }

  /** Packed. */
  get(key: string): Uint8Array<ArrayBuffer> | null {
    const kept = this.#living(key);
    return kept === null ? null : pack(kept);
  }

  /** Throws for what is not packed as it must be. */
  put(packed: Uint8Array): void {
    const response = unpack(packed);
    const ttl = (response.until - Date.now()) / 1000;
    if (ttl > 0 && !this.#view.voids(response)) this.#kept.set(response.key, response, ttl, weightOf(response));
  }

  async answer(question: ResponseQuestion, now: number): Promise<unknown> {
    switch (question.does) {
      case 'news':
        return this.#log.since(question.epoch, question.since);
      case 'invalidate':
        this.#note({ of: 'target', name: question.target, at: now });
        return {};
      case 'purge': {
        const purge: Purge = { of: question.of, name: question.name, at: now };
        this.#note(purge);
        this.#drop();
        this.#ordered = [...this.#ordered, purge].slice(-KEPT_PURGES);
        await this.#storage.put('purges', this.#ordered);
        return {};
      }
      case 'show':
        return { entry: this.#shown(question.key, question.plugin) };
    }
  }

  #note(purge: Purge): void {
    this.#log.add(purge);
    this.#view.add(purge);
  }

  /** Gives the memory of what is void back. */
  #drop(): void {
    const gone = [...this.#kept.values()].filter((response) => this.#view.voids(response));
    for (const { key } of gone) this.#kept.delete(key);
  }

  #living(key: string): StoredResponse | null {
    const kept = this.#kept.get(key);
    if (kept === undefined) return null;
    if (!this.#view.voids(kept)) return kept;
    this.#kept.delete(key);
    return null;
  }

  /** As Kong's Admin API shows it: of an answer that varies, the variant that was kept last. */
  #shown(key: string, plugin: string | null): unknown {
    let found = this.#living(key);
    if (found !== null && found.variesBy !== null) {
      const variants = [...this.#kept.values()].filter((one) => one.primary === key && one.key !== key);
      found = variants.findLast((one) => !this.#view.voids(one)) ?? null;
    }
    if (found === null || (plugin !== null && found.plugin !== plugin)) return null;
    const { status, headers, body, storedAt, lifetime } = found;
    return {
      plugin: found.plugin,
      status,
      headers: { ...shownHeaders(headers), 'X-Cache-Key': found.primary },
      body: body.length > MOST_SHOWN ? null : new TextDecoder().decode(body),
      body_len: body.length,
      timestamp: Math.floor(storedAt / 1000),
      ttl: lifetime,
      version: 1,
    };
  }
}

/** As Kong shows them: names as they are commonly spelt, the lines of one name as a list. */
function shownHeaders(headers: StoredResponse['headers']): Readonly<Record<string, string | readonly string[]>> {
  const shown = new Map<string, string | readonly string[]>();
  for (const [name, value] of headers) {
    const spelt = name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
    const before = shown.get(spelt);
    shown.set(spelt, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(shown);
}
