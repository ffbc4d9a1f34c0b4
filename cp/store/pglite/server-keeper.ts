import { statfsSync } from 'node:fs';
import type { PGlite } from '@electric-sql/pglite';

import type { Listener } from '../database.ts';
import { PgliteServer } from './server.ts';

/** Milliseconds between attempts to start again. */
const RETRY = 2_000;
/** Bytes PostgreSQL may need at once to recover: without them it would only end itself once more. */
const SPACE = 48 << 20;

/** Who listens, and how that is stopped at the server that runs. */
interface Listening {
  readonly channels: readonly string[];
  readonly listener: Listener;
  stop: Promise<() => Promise<void>>;
}

/**
 * Keeps a server running over a folder: one that ended itself, for want of space most likely, is followed by another as
 * soon as there is space again.
 */
export class ServerKeeper {
  readonly #directory: string;
  #server: PgliteServer;
  #retry: NodeJS.Timeout | null = null;
  #closed = false;
  readonly #listening = new Set<Listening>();

  constructor(directory: string, server: PgliteServer) {
    this.#directory = directory;
    this.#server = server;
  }

  /** The server there is, ended or not. */
  database(): PGlite {
    if (this.#server.ended !== null) this.#startAgain();
    return this.#server.database;
  }

  listen(channels: readonly string[], listener: Listener): () => Promise<void> {
    const own: Listening = { channels, listener, stop: this.#register(channels, listener) };
    this.#listening.add(own);
    return async () => {
      this.#listening.delete(own);
      await (await own.stop)();
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#server.close();
  }

  async #register(channels: readonly string[], { message, connected }: Listener): Promise<() => Promise<void>> {
    const server = this.#server;
    const all = await Promise.all(
      channels.map((channel) => server.database.listen(channel, (payload) => message(channel, payload))),
    ).catch(() => []);
    if (server.ended === null) connected();
    return async () => {
      for (const unlisten of all) if (!server.database.closed && server.ended === null) await unlisten();
    };
  }

  #startAgain(): void {
    if (this.#retry !== null || this.#closed) return;
    this.#retry = setTimeout(async () => {
      const next = await this.#start();
      this.#retry = null;
      if (next === null) this.#startAgain();
      else if (this.#closed) await next.close();
      else {
        this.#server = next;
        for (const own of this.#listening) own.stop = this.#register(own.channels, own.listener);
      }
    }, RETRY).unref();
  }

  /** Null: not now. The disk itself may be away. */
  async #start(): Promise<PgliteServer | null> {
    try {
      const { bavail, bsize } = statfsSync(this.#directory);
      if (bavail * bsize < SPACE) return null;
      await this.#server.close();
      return await PgliteServer.start(this.#directory);
    } catch {
      return null;
    }
  }
}
