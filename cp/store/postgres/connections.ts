import { Pool, type PoolClient } from 'pg';

import { asSqlError, identifier } from '../database.ts';
import type { ConnectionPool } from '../figures.ts';
import { DatabaseUnavailable, notConnected } from '../unavailable.ts';
import { clientConfig, type PostgresSettings } from './settings.ts';

/** With it off, the server answers a commit before that is on disk, and we would acknowledge what a crash then loses. */
const DURABLE = `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`;

/** Told that the connection of some work is in no state to be used again. */
type GiveUp = () => void;

/**
 * Pooled connections to a server that may fail over at any time. When one turns out to be stale (the server behind it was
 * shut down, or only reads now) all that were made before are stale: each is dropped instead of being used again, and the
 * work is done once more over a new one, unless it may have been done.
 */
export class Connections {
  readonly #pool: Pool;
  readonly #onRenewal: () => void;
  /** How many times all connections have been found stale. */
  #generation = 0;
  readonly #generations = new WeakMap<PoolClient, number>();

  /** `onRenewal` is told when connections turn out to be stale. */
  constructor(settings: PostgresSettings, onRenewal: () => void) {
    this.#onRenewal = onRenewal;
    this.#pool = new Pool({
      ...clientConfig(settings),
      max: settings.pg_pool_size,
      statement_timeout: settings.pg_timeout,
      // The server ends a slow statement first; this one is for a server that no longer answers at all.
      query_timeout: settings.pg_timeout + 5_000,
      idle_in_transaction_session_timeout: 60_000,
      onConnect: async (client) => {
        // The pool itself listens only while a connection is idle; one that breaks inside a transaction would end the process.
        client.on('error', () => {});
        await client.query(`SET search_path = ${identifier(settings.pg_schema)}`);
        await client.query(DURABLE);
      },
    });
    this.#pool.on('connect', (client) => this.#generations.set(client, this.#generation));
    // An idle connection that breaks is simply replaced.
    this.#pool.on('error', () => {});
  }

  /** Runs work over one connection. Throws `DatabaseUnavailable` when there is none, or what the work throws. */
  async use<T>(work: (client: PoolClient, giveUp: GiveUp) => Promise<T>): Promise<T> {
    try {
      return await this.#useOne(work);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable) || !error.stale || error.uncertain) throw error;
      return this.#useOne(work);
    }
  }

  counts(): ConnectionPool {
    const { totalCount, idleCount, waitingCount, options } = this.#pool;
    return { open: totalCount, idle: idleCount, waiting: waitingCount, most: options.max };
  }

  async end(): Promise<void> {
    await this.#pool.end();
  }

  async #useOne<T>(work: (client: PoolClient, giveUp: GiveUp) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let usable = true;
    try {
      return await work(client, () => {
        usable = false;
      });
    } catch (error) {
      if (error instanceof DatabaseUnavailable && error.stale) this.#renew(client);
      throw error;
    } finally {
      client.release(!usable || this.#isStale(client));
    }
  }

  async #connect(): Promise<PoolClient> {
    for (;;) {
      const client = await this.#pool.connect().catch((error: unknown) => {
        throw notConnected(asSqlError(error) ?? error);
      });
      if (!this.#isStale(client)) return client;
      client.release(true);
    }
  }

  #isStale(client: PoolClient): boolean {
    return this.#generations.get(client) !== this.#generation;
  }

  /** Only the first of many that fail at the same time says something new. */
  #renew(client: PoolClient): void {
    if (this.#isStale(client)) return;
    this.#generation++;
    this.#onRenewal();
  }
}
