import type { BundleRow, ObjectName, TableIndex, TableObject } from '../../shared/bundle/format.ts';
import { objectFor, spreadValue, travellingValue } from '../../shared/bundle/lookup.ts';
import { parseTableObject } from '../../shared/bundle/object.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { ReadObject, Tables } from './tables.ts';

/**
 * Rows of lazy tables. Bound to one manifest, so a request that began on a config finishes on it.
 * Throws `ShardUnavailable` when neither memory, KV nor a control plane has the object: the request then fails closed.
 */
export interface LazyTables {
  /** Every row found by the value, of all workspaces; at once when they are in memory. */
  lookupAll(table: string, value: string): readonly BundleRow[] | Promise<readonly BundleRow[]>;
}

/** The shard a request needs cannot be had. The request must fail closed: absence cannot be concluded from this. */
class ShardUnavailable extends Error {
  override readonly name = 'ShardUnavailable';
}

/** A shard's rows by the value they are found by. */
type Shard = ReadonlyMap<string, readonly BundleRow[]>;

/** Digests of the secrets clients sent lately: hashing the same key for each request would cost more than the rest. */
class DigestMemory {
  readonly #digests = new Map<string, string>();

  get(value: string): string | undefined {
    return this.#digests.get(value);
  }

  keep(value: string, digest: string): void {
    if (value.length > LONGEST_SECRET) return;
    if (this.#digests.size >= MOST_DIGESTS) this.#digests.clear();
    this.#digests.set(value, digest);
  }
}

const LONGEST_SECRET = 512;
const MOST_DIGESTS = 10_000;

/**
 * Shards in memory, least recently used first out, bounded by the bytes of their JSON. One per isolate: shards are
 * named by their content, so configs share it.
 */
export class ShardMemory {
  readonly digests = new DigestMemory();
  readonly #limit: number;
  readonly #shards = new Map<ObjectName, { readonly shard: Shard; readonly size: number; usedIn: number }>();
  #size = 0;
  /** How many were added: only then is one thrown out, so that once in between is enough to see that another is used. */
  #added = 0;

  /** `limit` in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get(name: ObjectName): Shard | undefined {
    const entry = this.#shards.get(name);
    if (entry === undefined) return undefined;
    if (entry.usedIn !== this.#added) {
      entry.usedIn = this.#added;
      // A Map iterates in insertion order: the used entry moves to the young end.
      this.#shards.delete(name);
      this.#shards.set(name, entry);
    }
    return entry.shard;
  }

  keep(name: ObjectName, shard: Shard, size: number): void {
    if (size > this.#limit || this.#shards.has(name)) return;
    this.#added += 1;
    this.#shards.set(name, { shard, size, usedIn: this.#added });
    this.#size += size;
    for (const [oldest, entry] of this.#shards) {
      if (this.#size <= this.#limit) break;
      this.#shards.delete(oldest);
      this.#size -= entry.size;
    }
  }
}

/**
 * The lazy tables of one config. A shard holds every row of its values, so a value missing from it does not exist: a
 * negative answer needs no second opinion. Rows whose `ttl` (Unix seconds) has passed are not there.
 */
export function lazyTables(tables: Tables, memory: ShardMemory, read: ReadObject): LazyTables {
  const lookupAll: LazyTables['lookupAll'] = (table, value) => {
    const index = tables.get(table)?.index;
    if (index === undefined) return [];
    if (!index.hashed.includes(index.key)) return rowsOf(table, index, value);
    const digest = memory.digests.get(value);
    if (digest !== undefined) return rowsOf(table, index, digest);
    return travellingValue(index, value).then((fresh) => {
      memory.digests.keep(value, fresh);
      return rowsOf(table, index, fresh);
    });
  };

  const rowsOf = (
    table: string,
    index: TableIndex,
    travelling: string,
  ): readonly BundleRow[] | Promise<readonly BundleRow[]> => {
    const object = objectFor(index, travelling);
    if (object === null) return [];
    const shard = memory.get(object.name);
    if (shard !== undefined) return living(shard.get(travelling) ?? []);
    return load(table, index.key, object.name, object.size).then((loaded) => {
      memory.keep(object.name, loaded, object.size);
      return living(loaded.get(travelling) ?? []);
    });
  };

  const load = async (table: string, key: string, name: ObjectName, size: number): Promise<Shard> => {
    try {
      return byValue(parseTableObject(await read(name, size), table), key);
    } catch (error) {
      throw new ShardUnavailable(`table '${table}': ${messageOf(error)}`, { cause: error });
    }
  };

  return { lookupAll };
}

function byValue(object: TableObject, key: string): Shard {
  const shard = new Map<string, BundleRow[]>();
  for (const row of object.rows) {
    const value = spreadValue(row, key);
    const rows = shard.get(value);
    if (rows === undefined) shard.set(value, [row]);
    else rows.push(row);
  }
  return shard;
}

function living(rows: readonly BundleRow[]): readonly BundleRow[] {
  const now = Date.now() / 1000;
  return rows.some((row) => expired(row, now)) ? rows.filter((row) => !expired(row, now)) : rows;
}

function expired(row: BundleRow, now: number): boolean {
  return typeof row.ttl === 'number' && row.ttl <= now;
}
