import type { Records } from '../runtime/services.ts';

interface Kept {
  /** JSON, so that nobody changes what another has put. */
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Records of a single isolate: where a node has no other, and in tests. */
export class MemoryRecords implements Records {
  readonly #kept = new Map<string, Kept>();

  async get(key: string): Promise<unknown> {
    return this.#value(key);
  }

  async put(key: string, value: unknown, ttl: number): Promise<void> {
    const until = ttl === 0 ? Number.POSITIVE_INFINITY : Date.now() + ttl * 1000;
    this.#kept.set(key, { text: JSON.stringify(value), until });
  }

  async add(key: string, value: unknown, ttl: number): Promise<boolean> {
    if (this.#living(key) !== undefined) return false;
    await this.put(key, value, ttl);
    return true;
  }

  async take(key: string): Promise<unknown> {
    // With nothing in between: of two who take it at once one has it.
    const value = this.#value(key);
    this.#kept.delete(key);
    return value;
  }

  async delete(key: string): Promise<void> {
    this.#kept.delete(key);
  }

  #value(key: string): unknown {
    const text = this.#living(key)?.text;
    return text === undefined ? null : JSON.parse(text);
  }

  #living(key: string): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined || kept.until > Date.now()) return kept;
    this.#kept.delete(key);
    return undefined;
  }
}
