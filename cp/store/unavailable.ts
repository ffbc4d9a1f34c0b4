import { messageOf } from '../../shared/thrown.ts';
import { asSqlError } from './database.ts';

interface Circumstances {
  /** The server behind the connection is not what it was: the connection is given up, and with it all older ones. */
  readonly stale?: boolean;
  /** What was asked may have been done all the same. */
  readonly uncertain?: boolean;
  readonly cause?: unknown;
}

/**
 * The database cannot be used now, or not be written to, whoever asks for what: it is not reached, is shut down, only reads
 * after a failover, or has no space left. The message is a sentence that says which.
 */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';
  readonly stale: boolean;
  readonly uncertain: boolean;
  /** The message without its beginning. */
  readonly reason: string;

  constructor(reason: string, { stale = false, uncertain = false, cause }: Circumstances = {}) {
    super(`the database is not available: ${reason}`, { cause });
    this.reason = reason;
    this.stale = stale;
    this.uncertain = uncertain;
  }

  /** The same, where the answer to a commit is what is missing. */
  atCommit(): DatabaseUnavailable {
    return new DatabaseUnavailable(this.reason, { stale: this.stale, uncertain: this.stale, cause: this.cause });
  }
}

/** SQLSTATEs with which a server says that the connection is of no more use. */
const STALE = new Map([
  ['25006', 'it only reads, as a standby does; after a failover pg_host must lead to the server that writes'],
  ['57P01', 'it was shut down or is restarting'],
  ['57P02', 'it crashed and is restarting'],
  ['57P03', 'it is starting up or shutting down'],
  ['57P04', 'it was dropped'],
  ['57P05', 'the connection had been idle for too long'],
  ['25P03', 'a transaction had been idle for too long'],
]);

/** SQLSTATEs, and their classes, with which a server that is well says that it cannot. */
const UNABLE = new Map([
  ['53100', 'its disk is full'],
  ['53200', 'it has no memory left'],
  ['53300', 'it takes no more connections'],
  ['57014', 'it did not finish in time'],
  ['58030', 'its disk fails'],
]);
const UNABLE_CLASSES = new Set(['08', '53']);

/** What a server's refusal means for everybody; undefined when it is about what was asked. */
export function unavailable(error: unknown): DatabaseUnavailable | undefined {
  if (error instanceof DatabaseUnavailable) return error;
  const refusal = asSqlError(error);
  if (refusal === undefined) return undefined;
  const { code, message } = refusal;
  const stale = STALE.get(code);
  if (stale !== undefined) return new DatabaseUnavailable(`${stale} (${message})`, { stale: true, cause: error });
  const unable = UNABLE.get(code);
  if (unable === undefined && !UNABLE_CLASSES.has(code.slice(0, 2))) return undefined;
  return new DatabaseUnavailable(unable === undefined ? message : `${unable} (${message})`, { cause: error });
}

/** A connection that broke, or on which no answer came. */
export function connectionLost(error: unknown, uncertain: boolean): DatabaseUnavailable {
  return new DatabaseUnavailable(`the connection to it was lost (${messageOf(error)})`, {
    stale: true,
    uncertain,
    cause: error,
  });
}

/** A connection that could not be made. */
export function notConnected(error: unknown): DatabaseUnavailable {
  return unavailable(error) ?? new DatabaseUnavailable(explainConnecting(error), { cause: error });
}

/** Node's own words for a failed connection are a code, or nothing when a name has several addresses. */
export function explainConnecting(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ECONNREFUSED') return 'connection refused; is the server running?';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'the name of the server does not resolve';
  if (code === '28P01') return `${messageOf(error)}; see pg_password`;
  const message = messageOf(error);
  if (message === 'timeout exceeded when trying to connect')
    return 'all connections are in use (pg_pool_size), and none became free within pg_timeout';
  if (message === 'Connection terminated due to connection timeout') return 'it did not answer within pg_timeout';
  return message;
}
