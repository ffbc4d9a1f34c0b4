import type { BundleRow } from '../../shared/bundle/format.ts';
import type { Row } from '../../shared/record.ts';
import { DEFAULT_WORKSPACE, workspaceOf } from '../../shared/workspace.ts';
import type { LazyTables } from '../config/lazy.ts';
import { FieldList, type HeaderFields } from '../http/fields.ts';
import type { IncomingRequest, OwnResponse } from '../http/messages.ts';
import type { AuthenticatedConsumer, AuthenticatedCredential, RequestContext } from '../plugins/plugin.ts';
import type { ClientAddress } from './client-address.ts';
import type { Route, Service } from './entities.ts';
import { errorResponse, exitResponse, negotiate } from './errors.ts';
import { IncomingBody } from './incoming-body.ts';
import type { Arrival } from './request-path.ts';

/** A request on its way through the gateway: what the proxy knows of it and what plugins may see and change. */
export class ProxyContext implements RequestContext {
  readonly incoming: IncomingRequest;
  readonly id: string;
  readonly rawTarget: string;
  /** The raw target up to `?`. */
  readonly rawPath: string;
  readonly query: string;
  readonly client: ClientAddress;
  readonly body: IncomingBody;
  readonly upstreamHeaders: HeaderFields;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  upstreamQuery: string;
  route: Route | null = null;
  service: Service | null = null;
  consumer: AuthenticatedConsumer | null = null;
  credential: AuthenticatedCredential | null = null;
  readonly #arrival: Arrival;
  readonly #lazy: LazyTables;
  #responseHeaders: FieldList | undefined;

  constructor(
    incoming: IncomingRequest,
    arrival: Arrival,
    lazy: LazyTables,
    client: ClientAddress,
    clientBodyTimeout: number,
  ) {
    this.startedAt = Date.now();
    this.incoming = incoming;
    this.client = client;
    this.id = crypto.randomUUID().replaceAll('-', '');
    this.rawTarget = incoming.target;
    const question = this.rawTarget.indexOf('?');
    this.rawPath = question < 0 ? this.rawTarget : this.rawTarget.slice(0, question);
    this.query = question < 0 ? '' : this.rawTarget.slice(question + 1);
    this.upstreamQuery = this.query;
    this.upstreamHeaders = incoming.changeableHeaders();
    this.body = new IncomingBody(incoming, clientBodyTimeout);
    this.#arrival = arrival;
    this.#lazy = lazy;
  }

  get clientIp(): string {
    return this.client.ip;
  }

  get responseHeaders(): HeaderFields {
    this.#responseHeaders ??= new FieldList();
    return this.#responseHeaders;
  }

  /** What was added to `responseHeaders`; making them for every request would cost those that add nothing. */
  get addedHeaders(): FieldList | null {
    return this.#responseHeaders ?? null;
  }

  get workspace(): string {
    return this.route?.workspace ?? DEFAULT_WORKSPACE.id;
  }

  readBody(limit: number): Promise<Uint8Array | null> {
    return this.body.read(limit);
  }

  replaceBody(bytes: Uint8Array): void {
    this.body.replace(bytes);
    this.upstreamHeaders.delete('content-length');
  }

  lookup(table: string, value: string): Row | null | Promise<Row | null> {
    const rows = this.lookupAll(table, value);
    return rows instanceof Promise ? rows.then(first) : first(rows);
  }

  lookupAll(table: string, value: string): readonly Row[] | Promise<readonly Row[]> {
    const { workspace } = this;
    const own = (rows: readonly BundleRow[]): readonly Row[] => rows.filter((row) => workspaceOf(row) === workspace);
    const rows = this.#lazy.lookupAll(table, value);
    return rows instanceof Promise ? rows.then(own) : own(rows);
  }

  error(status: number, message: string, headers?: Record<string, string>): OwnResponse {
    return errorResponse(negotiate(this.incoming), {
      status,
      message,
      requestId: this.id,
      ...(headers && { headers }),
    });
  }

  exit(status: number, body: unknown, headers?: Record<string, string>): OwnResponse {
    return exitResponse(status, body, headers);
  }

  waitUntil(work: Promise<unknown>): void {
    this.#arrival.waitUntil(work);
  }
}

function first(rows: readonly Row[]): Row | null {
  return rows[0] ?? null;
}
