/**
 * KV for a box of one's own: the service behind workerd's `kvNamespace` binding. Speaks the HTTP form that binding
 * uses (`GET|PUT|DELETE /<key>`, `GET /?prefix=…`, `POST /bulk/get`) over one SQLite Durable Object. Limits, statuses
 * and messages are those of Workers KV, except that a write is visible to the next read.
 */
import { DurableObject } from 'cloudflare:workers';
import { KvRefusal, LIMITS, parseExpiration, parseKey, parseListQuery, parseMetadata, readValue } from './request.ts';

interface Env {
  readonly STORE: DurableObjectNamespace<KvStore>;
}

export default {
  fetch(request: Request, env: Env): Promise<Response> {
    return env.STORE.get(env.STORE.idFromName('kv')).fetch(request);
  },
};

/** Bytes per row: a row of Durable Object storage holds 2 MB at most. */
const CHUNK = 1 << 20;

type EntryRow = { size: number; expiration: number | null; metadata: string | null };

export class KvStore extends DurableObject<Env> {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, size INTEGER NOT NULL, expiration INTEGER, metadata TEXT) WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS entry_expiration ON entry (expiration) WHERE expiration IS NOT NULL;
      CREATE TABLE IF NOT EXISTS chunk (key TEXT NOT NULL, position INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (key, position));
    `);
  }

  override async fetch(request: Request): Promise<Response> {
    try {
      return await this.#answer(request);
    } catch (error) {
      if (!(error instanceof KvRefusal)) throw error;
      // The binding sends all of a value before it listens for the answer.
      if (!request.bodyUsed) await request.body?.pipeTo(new WritableStream());
      return new Response(error.message, { status: error.status, statusText: error.message });
    }
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (request.method === 'POST' && url.pathname === '/bulk/get') return this.#bulkGet(await request.json());
    if (request.method === 'GET' && url.pathname === '/') return this.#list(url.searchParams);
    const key = parseKey(url);
    switch (request.method) {
      case 'GET':
        return this.#get(key);
      case 'PUT':
        return await this.#put(key, url.searchParams, request);
      case 'DELETE':
        this.#delete(key);
        return new Response();
      default:
        throw new KvRefusal(405, 'Method Not Allowed');
    }
  }

  #get(key: string): Response {
    const entry = this.#entry(key);
    if (entry === undefined) throw new KvRefusal(404, 'Not Found');
    const headers = new Headers();
    if (entry.expiration !== null) headers.set('CF-Expiration', String(entry.expiration));
    if (entry.metadata !== null) headers.set('CF-KV-Metadata', entry.metadata);
    return new Response(this.#value(key, entry.size), { headers });
  }

  #bulkGet(body: unknown): Response {
    const { keys, type, withMetadata }: { keys?: unknown; type?: unknown; withMetadata?: unknown } = Object(body);
    if (!Array.isArray(keys) || keys.length < 1) throw new KvRefusal(400, 'You must request a minimum of 1 key');
    if (keys.length > LIMITS.bulkKeys) {
      throw new KvRefusal(400, `You can request a maximum of ${LIMITS.bulkKeys} keys`);
    }
    const found: Record<string, unknown> = {};
    for (const key of keys.map(String)) {
      const entry = this.#entry(key);
      if (entry === undefined) {
        found[key] = null;
        continue;
      }
      const text = new TextDecoder().decode(this.#value(key, entry.size));
      const value: unknown = type === 'json' ? JSON.parse(text) : text;
      const metadata: unknown = entry.metadata === null ? null : JSON.parse(entry.metadata);
      found[key] = withMetadata === true ? { value, metadata } : value;
    }
    return Response.json(found);
  }

  #list(query: URLSearchParams): Response {
    const { prefix, after, limit } = parseListQuery(query);
    // The highest code point closes the range of a prefix: SQLite compares UTF-8 bytes.
    const rows = this.#sql
      .exec<{ key: string; expiration: number | null; metadata: string | null }>(
        `SELECT key, expiration, metadata FROM entry
         WHERE key >= ? AND key < ? AND key > ? AND (expiration IS NULL OR expiration > ?)
         ORDER BY key LIMIT ?`,
        prefix,
        `${prefix}\u{10ffff}`,
        after,
        now(),
        limit + 1,
      )
      .toArray();
    const page = rows.slice(0, limit);
    const keys = page.map(({ key, expiration, metadata }) => ({
      name: key,
      ...(expiration !== null && { expiration }),
      // The binding parses this text itself.
      ...(metadata !== null && { metadata }),
    }));
    const last = page.at(-1);
    if (rows.length <= limit || last === undefined) return Response.json({ keys, list_complete: true });
    return Response.json({ keys, list_complete: false, cursor: encodeURIComponent(last.key) });
  }

  async #put(key: string, query: URLSearchParams, request: Request): Promise<Response> {
    const expiration = parseExpiration(query, now());
    const metadata = parseMetadata(request.headers.get('CF-KV-Metadata'));
    const value = await readValue(request);
    // One transaction: a crash leaves the old value or the new one.
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec('DELETE FROM chunk WHERE key = ?', key);
      this.#sql.exec(
        `INSERT INTO entry (key, size, expiration, metadata) VALUES (?, ?, ?, ?) ON CONFLICT (key)
         DO UPDATE SET size = excluded.size, expiration = excluded.expiration, metadata = excluded.metadata`,
        key,
        value.byteLength,
        expiration,
        metadata,
      );
      for (let offset = 0, position = 0; offset < value.byteLength; offset += CHUNK, position += 1) {
        const bytes = value.slice(offset, offset + CHUNK).buffer;
        this.#sql.exec('INSERT INTO chunk (key, position, bytes) VALUES (?, ?, ?)', key, position, bytes);
      }
    });
    if (expiration !== null) await this.#wakeBy(expiration);
    return new Response();
  }

  #delete(key: string): void {
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec('DELETE FROM chunk WHERE key = ?', key);
      this.#sql.exec('DELETE FROM entry WHERE key = ?', key);
    });
  }

  #entry(key: string): EntryRow | undefined {
    const [row] = this.#sql
      .exec<EntryRow>(
        'SELECT size, expiration, metadata FROM entry WHERE key = ? AND (expiration IS NULL OR expiration > ?)',
        key,
        now(),
      )
      .toArray();
    return row;
  }

  #value(key: string, size: number): Uint8Array {
    const value = new Uint8Array(size);
    let offset = 0;
    const rows = this.#sql.exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM chunk WHERE key = ? ORDER BY position', key);
    for (const { bytes } of rows) {
      value.set(new Uint8Array(bytes), offset);
      offset += bytes.byteLength;
    }
    return value;
  }

  /** Reads hide what has expired; the alarm gives its space back. */
  override async alarm(): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      const expired = 'SELECT key FROM entry WHERE expiration IS NOT NULL AND expiration <= ?';
      this.#sql.exec(`DELETE FROM chunk WHERE key IN (${expired})`, now());
      this.#sql.exec('DELETE FROM entry WHERE expiration IS NOT NULL AND expiration <= ?', now());
    });
    const { next } = this.#sql.exec<{ next: number | null }>('SELECT min(expiration) AS next FROM entry').one();
    if (next !== null) await this.#wakeBy(next);
  }

  async #wakeBy(expiration: number): Promise<void> {
    const alarm = await this.ctx.storage.getAlarm();
    if (alarm === null || alarm > expiration * 1000) await this.ctx.storage.setAlarm(expiration * 1000);
  }
}

/** Unix seconds, KV's unit. */
function now(): number {
  return Math.floor(Date.now() / 1000);
}
