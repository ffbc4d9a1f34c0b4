import type { BundleRow } from '../../shared/bundle/format.ts';
import type { ClientAddress } from '../../shared/client-address.ts';
import type { Row } from '../../shared/record.ts';
import { DEFAULT_WORKSPACE, workspaceOf } from '../../shared/workspace.ts';
import type { Balancer } from '../balancer/balancer.ts';
import type { LazyTables } from '../config/lazy.ts';
import { FieldList, type HeaderFields } from '../http/fields.ts';
import type { HttpResponse, IncomingRequest, OwnResponse } from '../http/messages.ts';
import type { Authorities } from '../plugins/runtime/authorities.ts';
import type { Try } from '../plugins/runtime/exchange.ts';
import { type GroupsById, RequestIdentity } from '../plugins/runtime/identity.ts';
import type { GatewayRequest, Received, UpstreamChoice } from '../plugins/runtime/request.ts';
import { RequestHeaders } from '../plugins/runtime/request-headers.ts';
import type { PluginRun } from '../plugins/runtime/run.ts';
import { SlotArray } from '../plugins/runtime/slot.ts';
import { type Captures, NO_CAPTURES } from '../router/capture.ts';
import { splitHost } from '../router/host.ts';
import type { Route, Service } from './entities.ts';
import {
  defaultMessage,
  errorPage,
  errorResponse,
  exitResponse,
  grpcExitResponse,
  isGrpc,
  negotiate,
} from './errors.ts';
import type { ExchangeLog } from './exchange-log.ts';
import { type Forwarded, readForwarded } from './forwarded-headers.ts';
import { IncomingBody } from './incoming-body.ts';
import type { Outcome } from './outcome.ts';
import type { Arrival, ClientTls } from './request-path.ts';
import { OWN_TLS } from './upstream-tls.ts';

/** The upstreams of the config, by workspace and name. */
type Upstreams = { named(workspace: string, name: string): unknown };

/**
 * A request on its way through the gateway: what the proxy knows of it and what plugins may see and change. What only plugins
 * ask for is made when they do.
 */
export class ProxyContext implements GatewayRequest {
  readonly incoming: IncomingRequest;
  readonly id: string;
  readonly rawTarget: string;
  readonly rawPath: string;
  readonly client: ClientAddress;
  readonly body: IncomingBody;
  readonly startedAt: number;
  /** The headers as they are now, for the gateway's own use. */
  readonly fields: HeaderFields;
  method: string;
  query: string;
  route: Route | null = null;
  service: Service | null = null;
  matchedPath: string | null = null;
  captures: Captures = NO_CAPTURES;
  /** The plugins of the request; null: none has anything to do with it. */
  plugins: PluginRun | null = null;
  /** Sends it to its service; once a route is matched. */
  send: (() => Promise<Outcome>) | null = null;
  received: Received | null = null;
  /** What sending it came to. */
  outcome: Outcome | null = null;
  /** What would be sent upstream; null: no route. Only where a plugin will ask. */
  targetUpstream: (() => string) | null = null;
  /** What was sent upstream; null: nothing yet. */
  sentTarget: string | null = null;
  sentHeaders: HeaderFields | null = null;
  /** When; milliseconds since the epoch. */
  sentAt: number | null = null;
  /** Filled where a plugin will ask. */
  tries: Try[] | null = null;
  /** By what names were looked up, and when; null where none was, or no plugin will ask. */
  lookedUp: { readonly balancer: Balancer; readonly start: number; readonly end: number } | null = null;
  clientVerify: string | null = null;
  /** Where plugins log. */
  log: ExchangeLog | null = null;
  /** The client was found to be gone before there was an answer. */
  clientGone = false;
  /** The answer is on its way. */
  answered = false;
  readonly arrival: Arrival;
  /** That the client connected to; null where the host does not tell. */
  readonly port: number | null;
  readonly authorities: Authorities;
  /** Of the config that serves it; null: no control plane gave it. */
  readonly serial: number | null;
  readonly trial: string | null;
  readonly #lazy: LazyTables;
  readonly #groups: GroupsById;
  readonly #errorDefaultType: string;
  readonly #workspaceNames: Pick<ReadonlyMap<string, string>, 'get'>;
  readonly #upstreams: Upstreams;
  #headers: RequestHeaders | null = null;
  #forwarded: Forwarded | null = null;
  #identity: RequestIdentity | null = null;
  #choice: UpstreamChoice | null = null;
  #replyHeaders: FieldList | null = null;
  #shared: Map<string, unknown> | null = null;
  #slots: SlotArray | null = null;

  constructor(
    incoming: IncomingRequest,
    arrival: Arrival,
    parts: {
      readonly lazy: LazyTables;
      readonly serial: number | null;
      readonly trial: string | null;
      readonly groups: GroupsById;
      readonly workspaceNames: Pick<ReadonlyMap<string, string>, 'get'>;
      readonly upstreams: Upstreams;
      readonly authorities: Authorities;
      readonly client: ClientAddress;
      readonly port: number | null;
      readonly clientBodyTimeout: number;
      readonly maxBodySize: number;
      readonly errorDefaultType: string;
    },
  ) {
    this.startedAt = Date.now();
    this.incoming = incoming;
    this.client = parts.client;
    this.id = newRequestId();
    this.method = incoming.method;
    this.rawTarget = incoming.target;
    const question = this.rawTarget.indexOf('?');
    this.rawPath = question < 0 ? this.rawTarget : this.rawTarget.slice(0, question);
    this.query = question < 0 ? '' : this.rawTarget.slice(question + 1);
    this.fields = incoming.copyOf(incoming.headers);
    this.body = new IncomingBody(incoming, this.fields, parts.clientBodyTimeout, parts.maxBodySize);
    this.arrival = arrival;
    this.port = parts.port;
    this.serial = parts.serial;
    this.trial = parts.trial;
    this.#lazy = parts.lazy;
    this.#groups = parts.groups;
    this.#errorDefaultType = parts.errorDefaultType;
    this.#workspaceNames = parts.workspaceNames;
    this.#upstreams = parts.upstreams;
    this.authorities = parts.authorities;
  }

  get headers(): RequestHeaders {
    this.#headers ??= new RequestHeaders(this.fields);
    return this.#headers;
  }

  /** The Host a plugin wants sent upstream. */
  get chosenHost(): string | null {
    return this.#headers?.host ?? null;
  }

  get scheme(): 'http' | 'https' {
    return this.arrival.scheme;
  }

  get localPort(): number {
    return this.arrival.localPort ?? (this.scheme === 'https' ? 443 : 80);
  }

  get publishedPort(): number {
    return this.port ?? this.localPort;
  }

  get serverName(): string | null {
    return this.arrival.sni;
  }

  get tls(): ClientTls | null {
    return this.arrival.tls;
  }

  get forwarded(): Forwarded {
    this.#forwarded ??= forwardedOf(this, this.arrival);
    return this.#forwarded;
  }

  get workspace(): string {
    return this.route?.workspace ?? DEFAULT_WORKSPACE.id;
  }

  get workspaceName(): string | null {
    const { workspace } = this;
    return this.#workspaceNames.get(workspace) ?? (workspace === DEFAULT_WORKSPACE.id ? DEFAULT_WORKSPACE.name : null);
  }

  get identity(): RequestIdentity {
    this.#identity ??= new RequestIdentity(this, this.#groups);
    return this.#identity;
  }

  /** Null: nobody has asked who it is. */
  get knownIdentity(): RequestIdentity | null {
    return this.#identity;
  }

  get upstream(): UpstreamChoice {
    this.#choice ??= {
      scheme: null,
      path: null,
      target: null,
      timeouts: null,
      retries: null,
      ...OWN_TLS,
      trailers: null,
    };
    return this.#choice;
  }

  /** Null: as route and service say. */
  get choice(): UpstreamChoice | null {
    return this.#choice;
  }

  hasUpstream(name: string): boolean {
    return this.#upstreams.named(this.workspace, name) !== undefined;
  }

  get replyHeaders(): HeaderFields {
    this.#replyHeaders ??= new FieldList();
    return this.#replyHeaders;
  }

  /** What was put there; null: nothing. */
  get addedHeaders(): FieldList | null {
    return this.#replyHeaders;
  }

  get shared(): Map<string, unknown> {
    this.#shared ??= new Map();
    return this.#shared;
  }

  get slots(): SlotArray {
    this.#slots ??= new SlotArray();
    return this.#slots;
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

  error(status: number, message = defaultMessage(status), headers?: Readonly<Record<string, string>>): OwnResponse {
    const { fields, incoming } = this;
    const format = negotiate({ headers: fields, version: incoming.version }, headers?.['content-type']);
    return errorResponse(format, { status, message, requestId: this.id, ...(headers && { headers }) });
  }

  errorPage(status: number): OwnResponse {
    return errorPage(this.#errorDefaultType, this, status);
  }

  exit(status: number, body?: unknown, headers?: Readonly<Record<string, string>>): OwnResponse {
    const grpc = isGrpc({ headers: this.fields, version: this.incoming.version });
    return grpc ? grpcExitResponse(status, body, headers) : exitResponse(status, body, headers);
  }

  async forward(): Promise<HttpResponse> {
    if (this.send === null) throw new Error('the request cannot be forwarded before a route is matched');
    if (this.outcome !== null) throw new Error('the request has been forwarded already');
    this.outcome = await this.send();
    return this.outcome.response;
  }

  waitUntil(work: Promise<unknown>): void {
    this.arrival.waitUntil(work);
  }
}

/** As nginx's `$request_id`: 16 random bytes as hexadecimal digits. */
function newRequestId(): string {
  if (bytesUsed === RANDOM.length) {
    crypto.getRandomValues(RANDOM);
    bytesUsed = 0;
  }
  for (let at = 0; at < DIGITS.length; at += 2) {
    const byte = RANDOM[bytesUsed++] ?? 0;
    DIGITS[at] = HEX.charCodeAt(byte >> 4);
    DIGITS[at + 1] = HEX.charCodeAt(byte & 0xf);
  }
  return String.fromCharCode(...DIGITS);
}

/** Bytes for many ids, since drawing them costs more than all else of one. First drawn by a request: a Worker has none before. */
const RANDOM = new Uint8Array(4 << 10);
let bytesUsed = RANDOM.length;
/** Character codes of an id. */
const DIGITS: number[] = Array.from({ length: 32 }, () => 0);
const HEX = '0123456789abcdef';

function first(rows: readonly Row[]): Row | null {
  return rows[0] ?? null;
}

function forwardedOf(context: ProxyContext, arrival: Arrival): Forwarded {
  const { headers } = context.incoming;
  const { host } = splitHost(headers.get('host') ?? '');
  return readForwarded(headers, context.client, {
    scheme: arrival.scheme,
    host: host.includes(':') ? `[${host}]` : host,
    port: context.publishedPort,
    path: context.rawPath,
  });
}
