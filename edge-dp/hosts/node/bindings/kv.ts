import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { durably, written } from './database.ts';

/** Keys a listing gives at once, as Workers KV does. */
const PAGE = 1000;

/**
 * Written after all that it names (`edge-dp/config/cache.ts`). Once it is, the node takes nothing older, and keeps that through a power
 * cut: it and what came before it must be on the disk by then. What is written before it need not be, piece by piece.
 */
const COMMIT_POINT = 'manifest';

/** The part of Workers KV that the bundle cache uses, over a database that all processes of the node have open. */
export class SqliteKv {
  readonly #database: DatabaseSync;
  readonly #read: StatementSync;
  readonly #write: StatementSync;
  readonly #remove: StatementSync;
  readonly #list: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec('CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB NOT NULL)');
    this.#read = database.prepare('SELECT value FROM entry WHERE key = ?');
    this.#write = database.prepare(
      'INSERT INTO entry (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
    this.#remove = database.prepare('DELETE FROM entry WHERE key = ?');
    // The highest code point closes the range of a prefix: SQLite compares UTF-8 bytes.
    this.#list = database.prepare('SELECT key FROM entry WHERE key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?');
  }

  /** As `get(key, 'arrayBuffer')`. */
  async get(key: string): Promise<Uint8Array | null> {
    const value: unknown = this.#read.get(key)?.value;
    return value instanceof Uint8Array ? value : null;
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    const write = () => written(() => this.#write.run(key, value));
    if (key === COMMIT_POINT) durably(this.#database, write);
    else write();
  }

  async delete(key: string): Promise<void> {
    written(() => this.#remove.run(key));
  }

  async list({ prefix = '', cursor = null }: { readonly prefix?: string; readonly cursor?: string | null }) {
    const rows = this.#list.all(prefix, `${prefix}\u{10ffff}`, cursor ?? '', PAGE + 1);
    const keys = rows.slice(0, PAGE).map(({ key }) => ({ name: String(key) }));
    const last = keys.at(-1);
    return rows.length <= PAGE || last === undefined
      ? { keys, list_complete: true as const }
      : { keys, list_complete: false as const, cursor: last.name };
  }
}
