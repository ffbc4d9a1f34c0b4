import { DEFAULT_WORKSPACE, workspaceOf } from '../../shared/workspace.ts';
import type { LazyTables } from '../config/lazy.ts';
import type { AuthenticatedConsumer, AuthenticatedCredential, RequestContext } from '../plugins/plugin.ts';
import type { ClientAddress } from './client-address.ts';
import type { Route, Service } from './entities.ts';
import { errorResponse, exitResponse, negotiate } from './errors.ts';
import { IncomingBody } from './incoming-body.ts';
import type { Arrival } from './request-path.ts';

/** A request on its way through the gateway: what the proxy knows of it and what plugins may see and change. */
export class ProxyContext implements RequestContext {
  readonly incoming: Request;
  readonly id: string;
  readonly rawTarget: string;
  readonly client: ClientAddress;
  readonly body: IncomingBody;
  readonly upstreamHeaders: Headers;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  upstreamQuery: string;
  route: Route | null = null;
  service: Service | null = null;
  consumer: AuthenticatedConsumer | null = null;
  credential: AuthenticatedCredential | null = null;
  readonly #arrival: Arrival;
  readonly #lazy: LazyTables;
  #url: URL | undefined;
  #responseHeaders: Headers | undefined;

  constructor(incoming: Request, arrival: Arrival, lazy: LazyTables, client: ClientAddress, clientBodyTimeout: number) {
    this.startedAt = Date.now();
    this.incoming = incoming;
    this.client = client;
    this.id = crypto.randomUUID().replaceAll('-', '');
    this.rawTarget = targetOf(incoming.url);
    const question = this.rawTarget.indexOf('?');
    this.upstreamQuery = question < 0 ? '' : this.rawTarget.slice(question + 1);
    this.upstreamHeaders = new Headers(incoming.headers);
    this.body = new IncomingBody(incoming, clientBodyTimeout);
    this.#arrival = arrival;
    this.#lazy = lazy;
  }

  get clientIp(): string {
    return this.client.ip;
  }

  get url(): URL {
    this.#url ??= new URL(this.incoming.url);
    return this.#url;
  }

  get responseHeaders(): Headers {
    this.#responseHeaders ??= new Headers();
    return this.#responseHeaders;
  }

  /** What was added to `responseHeaders`; making them for every request would cost those that add nothing. */
  get addedHeaders(): Iterable<[string, string]> {
    return this.#responseHeaders ?? [];
  }

  get workspace(): string {
    return this.route?.workspace ?? DEFAULT_WORKSPACE.id;
  }

  /** The raw target up to `?`. */
  get rawPath(): string {
    const question = this.rawTarget.indexOf('?');
    return question < 0 ? this.rawTarget : this.rawTarget.slice(0, question);
  }

  readBody(limit: number): Promise<Uint8Array | null> {
    return this.body.read(limit);
  }

  replaceBody(bytes: Uint8Array): void {
    this.body.replace(bytes);
    this.upstreamHeaders.delete('content-length');
  }

  async lookup(table: string, value: string): Promise<Readonly<Record<string, unknown>> | null> {
    return (await this.lookupAll(table, value))[0] ?? null;
  }

  async lookupAll(table: string, value: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const { workspace } = this;
    return (await this.#lazy.lookupAll(table, value)).filter((row) => workspaceOf(row) === workspace);
  }

  error(status: number, message: string, headers?: Record<string, string>): Response {
    const { headers: asked } = this.incoming;
    const grpc = asked.get('content-type')?.startsWith('application/grpc') === true;
    const format = grpc ? 'grpc' : negotiate(asked.get('accept'));
    return errorResponse(format, { status, message, requestId: this.id, ...(headers && { headers }) });
  }

  exit(status: number, body: unknown, headers?: Record<string, string>): Response {
    return exitResponse(status, body, headers);
  }

  waitUntil(work: Promise<unknown>): void {
    this.#arrival.waitUntil(work);
  }
}

/** Path and query of an absolute URL, byte for byte; workerd keeps them as received but for dot segments. */
function targetOf(url: string): string {
  const path = url.indexOf('/', url.indexOf('://') + 3);
  if (path >= 0) return url.slice(path);
  const question = url.indexOf('?');
  return question < 0 ? '/' : `/${url.slice(question)}`;
}
