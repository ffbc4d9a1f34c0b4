import { messageOf } from '../../shared/thrown.ts';
import { ServiceError, type Services } from '../plugins/runtime/services.ts';
import { bracketed } from '../proxy/egress/egress.ts';
import { RedisConnection } from './connection.ts';
import { RedisError, type Reply } from './resp.ts';

/** Where a Redis server is, and as whom to speak to it. */
export interface RedisServer {
  readonly host: string;
  readonly port: number;
  /** Milliseconds to connect, and for each reply. */
  readonly timeout: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number;
  readonly tls: { readonly verify: boolean; readonly serverName: string | null } | null;
}

/** Milliseconds for which a server that could not be reached is not tried again: nobody waits for it meanwhile. */
const PAUSE = 1_000;

/** Milliseconds an unused connection is kept: the settings that named its server may be no one's any more. */
const IDLE = 60_000;

/** One server, over one connection that is made when it is needed, and anew once it is broken. */
export class RedisClient {
  readonly #server: RedisServer;
  readonly #connect: Services['connect'];
  #connection: RedisConnection | null = null;
  #connectedAt = Number.NEGATIVE_INFINITY;
  #usedAt = Number.NEGATIVE_INFINITY;
  #connecting: Promise<RedisConnection> | null = null;
  /** The last attempt's failure. */
  #failed: { readonly error: unknown; readonly at: number } | null = null;

  constructor(server: RedisServer, connect: Services['connect']) {
    this.#server = server;
    this.#connect = connect;
  }

  /** Throws with the server's name and what is wrong, for the operator's log; a `RedisError` is the `cause` where it refused. */
  async send(words: readonly string[]): Promise<Exclude<Reply, RedisError>> {
    try {
      const connection = await this.#connected();
      this.#usedAt = Date.now();
      return await connection.send(words).catch((error: unknown) => this.#refused(connection, error));
    } catch (error) {
      // What failed to connect says where.
      const where = error instanceof ServiceError ? '' : `${bracketed(this.#server.host)}:${this.#server.port}: `;
      throw new Error(`Redis ${where}${explained(error)}`, { cause: error });
    }
  }

  /** A server that others took the place of keeps its connections: behind its name there may be another by now. */
  #refused(connection: RedisConnection, error: unknown): never {
    const replaced = error instanceof RedisError && REPLACED.test(error.message);
    if (replaced && Math.abs(Date.now() - this.#connectedAt) >= PAUSE) connection.retire();
    throw error;
  }

  async #connected(): Promise<RedisConnection> {
    if (this.#connection?.usable === true) return this.#connection;
    this.#connecting ??= this.#reconnect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #reconnect(): Promise<RedisConnection> {
    const failed = this.#failed;
    // The clock may have been set back since.
    if (failed !== null && Math.abs(Date.now() - failed.at) < PAUSE) throw failed.error;
    try {
      this.#connection = await this.#open();
      this.#connectedAt = Date.now();
      this.#usedAt = this.#connectedAt;
      this.#closeWhenIdle(this.#connection, IDLE);
      this.#failed = null;
      return this.#connection;
    } catch (error) {
      this.#failed = { error, at: Date.now() };
      throw error;
    }
  }

  /** One timer for all that uses it. */
  #closeWhenIdle(connection: RedisConnection, pause: number): void {
    setTimeout(() => {
      if (!connection.usable) return;
      const unused = Math.abs(Date.now() - this.#usedAt);
      if (unused >= IDLE) connection.retire();
      else this.#closeWhenIdle(connection, IDLE - unused);
    }, pause);
  }

  async #open(): Promise<RedisConnection> {
    const { host, port, timeout, username, password, database, tls } = this.#server;
    const connection = new RedisConnection(await this.#connect({ host, port }, { tls, timeout }), timeout);
    try {
      if (password !== null && password !== '') {
        await connection.send(username === null || username === '' ? ['AUTH', password] : ['AUTH', username, password]);
      }
      if (database !== 0) await connection.send(['SELECT', String(database)]);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }
}

/** It is a replica now; before Redis 7 scripts say so in the middle of their error. */
const REPLACED = /\b(?:READONLY|MASTERDOWN)\b/;

/** What is wrong, and where it is known what that means, in words. */
function explained(error: unknown): string {
  if (!(error instanceof RedisError)) return messageOf(error);
  if (CLUSTER.has(error.kind)) return `it belongs to a Redis Cluster, which is not supported (${error.message})`;
  if (/unknown command/i.test(error.message))
    return `it is no ordinary server, or a Sentinel, which is not supported (${error.message})`;
  return error.message;
}

const CLUSTER: ReadonlySet<string> = new Set(['MOVED', 'ASK', 'CROSSSLOT', 'CLUSTERDOWN', 'TRYAGAIN']);
