import { KongError } from '../../shared/schema/errors.ts';
import type { Workspace } from '../store/store.ts';

/** What ACME keeps beside certificates, as rows of `acme_storage`: texts by key, some with an end. Keys are Kong's. */
export class AcmeStorage {
  readonly #workspace: Workspace;

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  async get(key: string): Promise<string | null> {
    const row = await this.#rows.select({ field: 'key', value: key });
    return typeof row?.value === 'string' ? row.value : null;
  }

  /** `ttl` in seconds; 0: until it is deleted. */
  async put(key: string, value: string, ttl = 0): Promise<void> {
    await this.#rows.upsert({ field: 'key', value: key }, { value }, { ttl });
  }

  /** Puts it where nothing is, in one step for all control planes; false when something is. */
  async add(key: string, value: string, ttl: number): Promise<boolean> {
    try {
      await this.#rows.insert({ key, value }, { ttl });
      return true;
    } catch (error) {
      if (error instanceof KongError && error.code === UNIQUE_VIOLATION) return false;
      throw error;
    }
  }

  async delete(key: string): Promise<void> {
    await this.#rows.delete({ field: 'key', value: key });
  }

  /** What follows the prefix in the keys that begin with it, in order. */
  async list(prefix: string): Promise<readonly string[]> {
    const found: string[] = [];
    let offset: string | undefined;
    do {
      const page = await this.#rows.page({ size: 1000, ...(offset !== undefined && { offset }) });
      for (const { key } of page.rows) {
        if (typeof key === 'string' && key.startsWith(prefix)) found.push(key.slice(prefix.length));
      }
      offset = page.offset;
    } while (offset !== undefined);
    return found.sort();
  }

  get #rows() {
    return this.#workspace.entity('acme_storage');
  }
}

const UNIQUE_VIOLATION = 5;
