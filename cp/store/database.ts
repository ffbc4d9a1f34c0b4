/**
 * The one way to the database: what both drivers offer, and nothing of either. Everything above speaks SQL text with
 * numbered parameters and gets rows of plain JSON-like values back.
 */

import type { ConnectionPool } from './figures.ts';
import type { Outage } from './outage.ts';

/** What a statement may be given. Structured values travel as JSON text and are taken apart by the statement. */
export type SqlValue = string | number | boolean | null | readonly string[];

/** A row as the driver gives it: column names to plain values. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** `name` marks a statement worth preparing: same name, same text, for the life of the process. */
export interface Statement {
  readonly text: string;
  readonly name?: string;
}

/** One connection's view: the database itself, or a transaction in it. */
export interface Session {
  /** Rows of one statement; throws `SqlError` for what the server refuses. */
  query(statement: Statement | string, values?: readonly SqlValue[]): Promise<SqlRow[]>;
  /**
   * All or nothing. Outside a transaction `work` runs again when the server reports a serialization failure or a
   * deadlock; inside one it is a savepoint, and what it throws leaves the outer transaction usable.
   */
  transaction<T>(work: (inside: Session) => Promise<T>): Promise<T>;
}

/** Who hears notifications. */
export interface Listener {
  message(channel: string, payload: string): void;
  /** Connected, for the first time or again: what was notified before is missed. */
  connected(): void;
  readonly outage: Outage;
}

/** A database in use. Close it when done: the embedded one is locked to its process. */
export interface Database extends Session {
  readonly driver: 'pglite' | 'postgres';
  /** False when everything shares one connection, so that a long read would hold up every write. */
  readonly concurrent: boolean;
  /** One read-only view of the data as of now (REPEATABLE READ), for as long as `work` runs. */
  snapshot<T>(work: (inside: Session) => Promise<T>): Promise<T>;
  /** A transaction without statement timeout, one at a time across all processes on the database: for migrations. */
  maintenance<T>(work: (inside: Session) => Promise<T>): Promise<T>;
  /** Listens for NOTIFY until the function returned is called; a connection that fails is made again. */
  listen(channels: readonly string[], listener: Listener): () => Promise<void>;
  /** Null: there is one connection only, the embedded database's. */
  pool(): ConnectionPool | null;
  close(): Promise<void>;
}

/** What PostgreSQL answered with instead of rows. `code` is the SQLSTATE. */
class SqlError extends Error {
  override readonly name = 'SqlError';
  readonly code: string;
  readonly constraint: string | undefined;
  readonly table: string | undefined;
  readonly detail: string | undefined;

  constructor(
    message: string,
    options: { code: string; constraint?: unknown; table?: unknown; detail?: unknown; cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.code = options.code;
    this.constraint = text(options.constraint);
    this.table = text(options.table);
    this.detail = text(options.detail);
  }
}

/** Both drivers report server errors as an Error with the protocol's fields; anything else is a failure of the link. */
export function asSqlError(error: unknown): SqlError | undefined {
  if (error instanceof SqlError) return error;
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return undefined;
  if (typeof error.code !== 'string' || !/^[0-9A-Z]{5}$/.test(error.code)) return undefined;
  return new SqlError(error.message, {
    code: error.code,
    constraint: 'constraint' in error ? error.constraint : undefined,
    table: 'table' in error ? error.table : undefined,
    detail: 'detail' in error ? error.detail : undefined,
    cause: error,
  });
}

/** Quotes an identifier. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Quotes a string literal, for DDL, where parameters are not allowed. */
export function literal(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`;
  return value.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
