import { statfs } from 'node:fs/promises';

import { messageOf } from '../../shared/thrown.ts';
import type { Histogram } from '../metrics/histogram.ts';
import type { Database } from './database.ts';
import { StoreFigures } from './figures.ts';
import { DatabaseUnavailable } from './unavailable.ts';

/** How a database is, for those who ask whether all is well. */
export interface DatabaseCondition {
  readonly reachable: boolean;
  /** What is wrong or slow, as the end of a sentence about the database; null when nothing is. */
  readonly reason: string | null;
}

/** Milliseconds. Those who ask are probes most of the time, which give up after a second. */
const PATIENCE = 700;
/** Milliseconds after which what it refused is forgotten: a full disk is seen again at the next write. */
const MEMORY = 60_000;
/** Bytes on the disk below which PostgreSQL may not get its next file (of 16 MB) any more. */
const SPACE = 32 << 20;

/**
 * Looks at the database without ever waiting for it longer than asked. One look at a time: a database that does not answer
 * is not asked by every probe anew.
 */
export class ConditionWatch {
  readonly figures = new StoreFigures();
  readonly #database: Database;
  /** Folder of an embedded database. */
  readonly #folder: string | null;
  #looking: { readonly since: number; readonly outcome: Promise<DatabaseCondition> } | null = null;
  #refused: { readonly at: number; readonly reason: string } | null = null;

  constructor(database: Database, folder: string | null) {
    this.#database = database;
    this.#folder = folder;
  }

  /** The database, with note taken of what it cannot do. */
  watched(): Database {
    const noting = async <T>(work: Promise<T>, times: Histogram): Promise<T> => {
      const began = performance.now();
      try {
        const result = await work;
        times.since(began);
        return result;
      } catch (error) {
        if (error instanceof DatabaseUnavailable) this.#refused = { at: performance.now(), reason: error.reason };
        throw error;
      }
    };
    const { query, transaction } = this.#database;
    const { statements, transactions } = this.figures;
    return {
      ...this.#database,
      query: (statement, values) => noting(query(statement, values), statements),
      transaction: (work) => noting(transaction(work), transactions),
    };
  }

  /** `limit`: milliseconds. Never throws. */
  async look(limit = PATIENCE): Promise<DatabaseCondition> {
    const asked = performance.now();
    this.#looking ??= { since: asked, outcome: this.#ask() };
    const { since, outcome } = this.#looking;
    const found = await Promise.race([outcome, after(limit)]);
    if (found !== null) return found;
    const seconds = ((performance.now() - since) / 1000).toFixed(1);
    // What works in this thread for others is there, and will answer when they have had their turn.
    return this.#database.concurrent
      ? { reachable: false, reason: `it has not answered for ${seconds} s` }
      : { reachable: true, reason: `it has been busy with other work for ${seconds} s` };
  }

  async #ask(): Promise<DatabaseCondition> {
    try {
      const [row] = await this.#database.query(`SELECT current_setting('transaction_read_only') AS only_reads`);
      if (row?.only_reads === 'on') return { reachable: true, reason: 'it only reads, as a standby does' };
      const lack = await this.#lackOfSpace();
      return { reachable: true, reason: lack ?? this.#lastRefusal() };
    } catch (error) {
      return { reachable: false, reason: error instanceof DatabaseUnavailable ? error.reason : messageOf(error) };
    } finally {
      this.#looking = null;
    }
  }

  async #lackOfSpace(): Promise<string | null> {
    if (this.#folder === null) return null;
    const { bavail, bsize } = await statfs(this.#folder);
    const free = bavail * bsize;
    return free < SPACE ? `only ${Math.floor(free / 2 ** 20)} MB are left on the disk of ${this.#folder}` : null;
  }

  #lastRefusal(): string | null {
    if (this.#refused === null || performance.now() - this.#refused.at > MEMORY) return null;
    const seconds = Math.round((performance.now() - this.#refused.at) / 1000);
    return `it refused something ${seconds} s ago: ${this.#refused.reason}`;
  }
}

function after(milliseconds: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), milliseconds));
}
