import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { deserialize, serialize } from 'node:v8';
import { durably, written } from './database.ts';

/** Makes the tables where they are not there. */
export function prepareDurableStorage(database: DatabaseSync): void {
  database.exec(`
    CREATE TABLE IF NOT EXISTS item (object TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (object, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS alarm (object TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
  `);
}

interface ListOptions {
  readonly limit?: number;
  readonly startAfter?: string;
  readonly prefix?: string;
}

/** Of Unicode, and so of SQLite's order of texts. */
const LAST_CHARACTER = '\u{10ffff}';

/** Called with when an object's alarm is to ring; null: not at all. */
export type AlarmListener = (at: number | null) => void;

/**
 * The storage of one Durable Object, as far as this project uses it: what it has put survives a power cut, its alarm the end of the
 * process. Node's SQLite works at once, so that each call is done when it returns.
 */
export class DurableStorage {
  readonly #database: DatabaseSync;
  readonly #object: string;
  readonly #onAlarm: AlarmListener;
  readonly #statements: Readonly<
    Record<'get' | 'put' | 'delete' | 'list' | 'alarm' | 'setAlarm' | 'unsetAlarm', StatementSync>
  >;

  #alarm: number | null;

  /** `object`: its class and name. */
  constructor(database: DatabaseSync, object: string, onAlarm: AlarmListener) {
    this.#database = database;
    this.#object = object;
    this.#onAlarm = onAlarm;
    this.#statements = {
      get: database.prepare('SELECT value FROM item WHERE object = ? AND key = ?'),
      put: database.prepare(
        'INSERT INTO item (object, key, value) VALUES (?, ?, ?) ON CONFLICT (object, key) DO UPDATE SET value = excluded.value',
      ),
      delete: database.prepare('DELETE FROM item WHERE object = ? AND key = ?'),
      list: database.prepare(
        'SELECT key, value FROM item WHERE object = ? AND key > ? AND key >= ? AND key < ? ORDER BY key LIMIT ?',
      ),
      alarm: database.prepare('SELECT at FROM alarm WHERE object = ?'),
      setAlarm: database.prepare(
        'INSERT INTO alarm (object, at) VALUES (?, ?) ON CONFLICT (object) DO UPDATE SET at = excluded.at',
      ),
      unsetAlarm: database.prepare('DELETE FROM alarm WHERE object = ?'),
    };
    const at: unknown = this.#statements.alarm.get(object)?.at;
    this.#alarm = typeof at === 'number' ? at : null;
  }

  async get(key: string): Promise<unknown> {
    const value: unknown = this.#statements.get.get(this.#object, key)?.value;
    return value instanceof Uint8Array ? deserialize(value) : undefined;
  }

  async put(keyOrEntries: string | Readonly<Record<string, unknown>>, value?: unknown): Promise<void> {
    const entries = typeof keyOrEntries === 'string' ? [[keyOrEntries, value] as const] : Object.entries(keyOrEntries);
    this.#durably(() => {
      for (const [key, each] of entries) this.#statements.put.run(this.#object, key, serialize(each));
    });
  }

  async delete(keys: string | readonly string[]): Promise<void> {
    const all = typeof keys === 'string' ? [keys] : keys;
    this.#durably(() => {
      for (const key of all) this.#statements.delete.run(this.#object, key);
    });
  }

  /** In the order of keys. Throws for an option of the runtime's that is not served: it may not be passed over. */
  async list({ limit = -1, startAfter = '', prefix = '', ...others }: ListOptions = {}): Promise<Map<string, unknown>> {
    const [other] = Object.keys(others);
    if (other !== undefined) throw new Error(`storage.list: '${other}' is not there`);
    const rows = this.#statements.list.all(this.#object, startAfter, prefix, `${prefix}${LAST_CHARACTER}`, limit);
    return new Map(
      rows.map(({ key, value }) => [String(key), value instanceof Uint8Array ? deserialize(value) : undefined]),
    );
  }

  /** Null while it rings, too. */
  get alarm(): number | null {
    return this.#alarm;
  }

  async getAlarm(): Promise<number | null> {
    return this.#alarm;
  }

  /** It rings, too, where the disk does not keep it: who waits for it, such as the link, would be stuck until a restart. */
  async setAlarm(at: number | Date): Promise<void> {
    const due = Math.ceil(Number(at));
    this.#alarm = due;
    this.#onAlarm(due);
    kept(() => this.#statements.setAlarm.run(this.#object, due));
  }

  async deleteAlarm(): Promise<void> {
    this.#alarm = null;
    this.#onAlarm(null);
    kept(() => this.#statements.unsetAlarm.run(this.#object));
  }

  /** The alarm rings. A process that is killed meanwhile finds it again; `rang` says that all was done. */
  ring(): void {
    this.#alarm = null;
  }

  rang(): void {
    if (this.#alarm === null) kept(() => this.#statements.unsetAlarm.run(this.#object));
  }

  /** In one transaction, and on the disk before it returns. */
  #durably(write: () => void): void {
    durably(this.#database, () => {
      try {
        written(() => {
          this.#database.exec('BEGIN IMMEDIATE');
          write();
          this.#database.exec('COMMIT');
        });
      } catch (error) {
        // With a full disk SQLite has done it already.
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    });
  }
}

/** What may be lost with the process, if it must: that is in the log. */
function kept(write: () => unknown): void {
  try {
    written(write);
  } catch {
    // Told.
  }
}
