import { isRecord, recordOrEmpty } from '../../../../shared/record.ts';
import { addressOf } from './address.ts';
import { answered, lost } from './connection.ts';
import type { Page } from './shapes.ts';

/** What the Admin API said no to, in its words. */
export class AdminError extends Error {
  readonly status: number;
  /** What is wrong with single fields, nested as they are. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(status: number, body: unknown) {
    const { message, fields } = recordOrEmpty(body);
    super(typeof message === 'string' ? message : `The Admin API answered ${status}.`);
    this.name = 'AdminError';
    this.status = status;
    this.fields = recordOrEmpty(fields);
  }
}

/** Nothing answered: the control plane is gone, or the browser does not get there. */
export class Unreachable extends Error {
  constructor() {
    super('The control plane does not answer.');
    this.name = 'Unreachable';
  }
}

/** What a write was answered. */
export interface Written {
  readonly body: unknown;
  /** Serial of the config it made; null: none was told. */
  readonly serial: number | null;
  /** Why data planes do not get it, in words; null: all do. */
  readonly withheld: string | null;
}

type Scope = 'workspace' | 'cluster';

/** Milliseconds until a control plane that takes a question, and says nothing, counts as one that does not answer. */
const PATIENCE = 20_000;

/** Reads JSON; its shape is the Admin API's word. Rejects with `AdminError` or `Unreachable`. */
export async function read<T>(path: string, scope: Scope = 'cluster', signal?: AbortSignal): Promise<T> {
  const response = await ask(path, scope, signal === undefined ? {} : { signal });
  const body: T = await response.json();
  return body;
}

/** The same with the entity tag of what was read, which a write can say it is a change of; null: it has none. */
export async function readTagged<T>(
  path: string,
  scope: Scope,
): Promise<{ readonly body: T; readonly tag: string | null }> {
  const response = await ask(path, scope, {});
  const body: T = await response.json();
  return { body, tag: response.headers.get('etag') };
}

/** Every row of a list, page after page, up to so many. */
export async function readAll<T>(
  path: string,
  scope: 'workspace' | 'cluster',
  signal: AbortSignal,
  most = 50_000,
): Promise<readonly T[]> {
  const rows: T[] = [];
  let offset: string | undefined;
  do {
    const query = `size=1000${offset === undefined ? '' : `&offset=${encodeURIComponent(offset)}`}`;
    const page = await read<Page<T>>(`${path}${path.includes('?') ? '&' : '?'}${query}`, scope, signal);
    rows.push(...page.data);
    offset = page.offset;
  } while (offset !== undefined && rows.length < most);
  return rows;
}

/** Reads text, as of an exported document, which may take long to make. */
export async function readText(path: string, scope: Scope): Promise<string> {
  return (await ask(path, scope, {}, null)).text();
}

/** Sends JSON, or YAML as text. With a `tag` it rejects with 412 when what it is a change of has another one by now. */
export async function write(
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  scope: Scope = 'workspace',
  tag: string | null = null,
): Promise<Written> {
  const isText = typeof body === 'string';
  const response = await ask(path, scope, {
    method,
    ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
    headers: {
      ...(body !== undefined && { 'content-type': isText ? 'application/yaml' : 'application/json' }),
      ...(tag !== null && { 'if-match': tag }),
    },
  });
  const text = await response.text();
  const serial = Number(response.headers.get('x-holdfast-serial') ?? Number.NaN);
  return {
    body: text === '' ? null : JSON.parse(text),
    serial: Number.isFinite(serial) ? serial : null,
    withheld: response.headers.get('x-holdfast-withheld'),
  };
}

/** `patience`: milliseconds; what a write came to is waited for. */
async function ask(
  path: string,
  scope: Scope,
  init: RequestInit,
  patience: number | null = init.method === undefined ? PATIENCE : null,
): Promise<Response> {
  const hung = new AbortController();
  const late = patience === null ? undefined : setTimeout(() => hung.abort(), patience);
  const signal = init.signal == null ? hung.signal : AbortSignal.any([init.signal, hung.signal]);
  let response: Response;
  try {
    response = await fetch(addressOf(path, scope), { ...init, signal });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    lost();
    throw new Unreachable();
  } finally {
    clearTimeout(late);
  }
  answered();
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  throw new AdminError(response.status, isRecord(body) ? body : null);
}

/** What to tell of a failure. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
