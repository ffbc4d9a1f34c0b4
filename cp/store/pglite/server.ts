import { PGlite } from '@electric-sql/pglite';

import { DatabaseUnavailable } from '../unavailable.ts';
import { DatabaseFiles } from './files.ts';

/** One run of the embedded PostgreSQL over a folder. When it has ended itself it is of no more use, and another can begin. */
export class PgliteServer {
  readonly database: PGlite;
  readonly #files: DatabaseFiles;
  readonly #end: End;

  private constructor(database: PGlite, files: DatabaseFiles, end: End) {
    this.database = database;
    this.#files = files;
    this.#end = end;
  }

  /** Throws with PostgreSQL's own last words where it had any. */
  static async start(directory: string): Promise<PgliteServer> {
    const end: End = { reason: null };
    const files = new DatabaseFiles(directory, (reason) => {
      end.reason ??= reason;
      throw new Ended(end.reason);
    });
    try {
      const startParams = durable(PGlite.defaultStartParams);
      const database = await PGlite.create({ dataDir: directory, fs: files, startParams });
      refuseOnceEnded(database, end);
      return new PgliteServer(database, files, end);
    } catch (error) {
      files.release();
      throw end.reason === null ? error : new Error(end.reason, { cause: error });
    }
  }

  /** Why it has ended itself; null while it runs. */
  get ended(): string | null {
    return this.#end.reason;
  }

  /** What has ended itself is not asked for a last checkpoint: the next start goes over its log instead. */
  async close(): Promise<void> {
    if (this.#end.reason === null) {
      try {
        await this.database.close();
        return;
      } catch (error) {
        if (this.ended === null) throw error;
      }
    }
    this.#files.release();
  }
}

interface End {
  reason: string | null;
}

/**
 * Thrown out of the server in the middle of its end. PGlite goes on with the next turn of the server whatever one throws,
 * for ever where there is none any more, unless looking at its `status` throws in turn.
 */
class Ended {
  readonly #reason: string;
  constructor(reason: string) {
    this.#reason = reason;
  }
  get status(): never {
    throw hasEnded(this.#reason);
  }
}

function hasEnded(reason: string): DatabaseUnavailable {
  return new DatabaseUnavailable(`the embedded database ended itself and is started again (${reason})`);
}

/** PGlite would send a ROLLBACK, or the next query, into a server that is gone, and never come back. */
function refuseOnceEnded(database: PGlite, end: End): void {
  const send = database.execProtocolRawSync.bind(database);
  database.execProtocolRawSync = (message) => {
    if (end.reason !== null) throw hasEnded(end.reason);
    return send(message);
  };
}

/** PGlite starts PostgreSQL with fsync off; `fsync`, not `fdatasync`, is the call that reaches the files. */
function durable(startParams: readonly string[]): string[] {
  return [...startParams.filter((parameter) => parameter !== '-F'), '-c', 'wal_sync_method=fsync'];
}
