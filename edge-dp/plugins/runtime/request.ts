import type { ClientAddress } from '../../../shared/client-address.ts';
import type { Row } from '../../../shared/record.ts';
import type { BodyArguments } from '../../http/arguments/body-arguments.ts';
import type { HeaderFields } from '../../http/fields.ts';
import type { HttpResponse, IncomingRequest } from '../../http/messages.ts';
import type { Forwarded } from '../../proxy/forwarded-headers.ts';
import type { ClientTls } from '../../proxy/request-path.ts';
import type { Captures } from '../../router/capture.ts';
import type { Authorities } from './authorities.ts';
import type { Identity } from './identity.ts';
import type { Slots } from './slot.ts';

/**
 * The request as it is now: what the client sent, with what plugins before have made of it. Plugins after this one and the
 * upstream see the same. One object per request.
 */
export interface GatewayRequest {
  /** As received; never changes. */
  readonly incoming: IncomingRequest;
  /** Path and query as received; never changes (`kong.request.get_raw_path`). */
  readonly rawTarget: string;
  /** `rawTarget` up to `?`. */
  readonly rawPath: string;
  /** 32 lower-case hex digits: `X-Kong-Request-Id`. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The release that is tried on it; null: it meets the config that all have, or the others. What it leaves behind must not reach these. */
  readonly trial: string | null;
  /** Who sent it, after `trusted_ips` and `real_ip_header`; `ip` is empty where the host does not tell. */
  readonly client: ClientAddress;
  /** Of the listener it came in on. */
  readonly scheme: 'http' | 'https';
  /** The port of that listener, and the one that clients know it by. */
  readonly localPort: number;
  readonly publishedPort: number;
  /** What a TLS client asked for by SNI; null: nothing, no TLS, or the host does not tell. */
  readonly serverName: string | null;
  /** TLS as the client speaks it; null: it does not, or the host does not tell. */
  readonly tls: ClientTls | null;
  /** What a plugin has found of the client's certificate, in place of what TLS did (`kong.client.tls.set_client_verify`). */
  clientVerify: string | null;
  /** Scheme, host, port and path as the client saw them, `X-Forwarded-*` of trusted peers believed (`get_forwarded_*`). */
  readonly forwarded: Forwarded;
  /** Null while no route is matched: in `rewrite`, and for requests that match none. */
  readonly route: RouteView | null;
  readonly service: ServiceView | null;
  /** Id of the matched route's workspace, of the default one while there is no route. */
  readonly workspace: string;
  /** The part of the path that the route matched; null where it matches any. */
  readonly matchedPath: string | null;
  /** What the matched route's regex captured (`$(uri_captures.x)`). */
  readonly captures: Captures;

  method: string;
  /** Host among them: setting it decides the Host sent upstream. The gateway's own (`X-Forwarded-*`, `Via`…) come after all plugins. */
  readonly headers: HeaderFields;
  /** Query string without `?`, byte for byte as received unless a plugin changed it; `proxy/query.ts` reads and cuts it. */
  query: string;
  readonly body: RequestBody;
  readonly upstream: UpstreamChoice;
  /** What the service answered, before plugins changed it; null: it has not, or no plugin asks for it. */
  readonly received: Received | null;
  /** Whom the request comes from. */
  readonly identity: Identity;
  /** Whether the request's workspace has an upstream of that name. */
  hasUpstream(name: string): boolean;
  /** Put on whatever answer the client gets, in place of what that has under the same names; Set-Cookie beside it. */
  readonly replyHeaders: HeaderFields;
  /** What plugins tell each other (`kong.ctx.shared`). A plugin's own state belongs into a `slot`. */
  readonly shared: Map<string, unknown>;
  readonly slots: Slots;

  /** Whom certificates may be signed by, as the config has them. */
  readonly authorities: Authorities;

  /**
   * A row of a lazy table by its lookup value: memory, then KV, then the control plane. Null when there is none in the
   * request's workspace: another workspace's consumers and credentials do not exist here. At once when it is in memory.
   */
  lookup(table: string, value: string): Row | null | Promise<Row | null>;
  /** All rows of a lazy table with that lookup value (ACL groups of a consumer), of the request's workspace. */
  lookupAll(table: string, value: string): readonly Row[] | Promise<readonly Row[]>;
  /** Kong's error body, negotiated by Accept (`kong.response.error`) unless `content-type` is given; the status's own text when there is no message. */
  error(status: number, message?: string, headers?: Readonly<Record<string, string>>): HttpResponse;
  /** The same as nginx gives its error pages: `error_default_type` where Accept and Content-Type say nothing. */
  errorPage(status: number): HttpResponse;
  /** A table as compact JSON, a text as it is, or nothing; no request id (`kong.response.exit`). */
  exit(status: number, body?: unknown, headers?: Readonly<Record<string, string>>): HttpResponse;
  /**
   * Sends the request to its service as it is now, balancer, retries and TLS included, and gives the answer, or the gateway's own
   * error. In `access`, once. Returned as it is, the answer is the upstream's like any other.
   */
  forward(): Promise<HttpResponse>;
  /** Work that goes on after the answer. */
  waitUntil(work: Promise<unknown>): void;
}

/** The head of a service's answer. */
export interface Received {
  readonly status: number;
  readonly headers: HeaderFields;
}

/** A route or service as plugins see it. `row` is the whole entity, as in Kong's log entries. */
export interface RouteView {
  readonly id: string;
  readonly name: string | null;
  readonly row: Row;
}
export type ServiceView = RouteView;

/** The body as it will be sent upstream. Streamed unread unless a plugin asks for it. */
export interface RequestBody {
  /** Declared bytes, 0 without a body; null: not known before its end. */
  readonly length: number | null;
  /** The whole of it, kept for the upstream; null when it is longer than `limit` bytes (it is then sent on all the same). */
  read(limit: number): Promise<Uint8Array | null>;
  /** Its named arguments: form, multipart or a JSON object, as Content-Type says; null for others and for too long ones. */
  arguments(limit: number): Promise<BodyArguments | null>;
  /** Another body in its place; Content-Length follows, and Content-Type where one is given. */
  replace(body: Uint8Array | string, contentType?: string): void;
  /**
   * Lets at most so many bytes pass while it streams, or is read; beyond, the upstream call is broken off and the client gets the
   * status (413) with the message.
   */
  limit(bytes: number, message: string, status?: 413 | 417): void;
}

/** An address, or a name that is no upstream's. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

/** TLS to the upstream as plugins want it. Null: as the service says (`kong.service.set_tls_…`). */
export interface TlsChoice {
  verifyTls: boolean | null;
  /** Intermediates that the upstream's chain may have. */
  verifyDepth: number | null;
  /** PEM of the authorities that it is verified by. */
  authorities: readonly string[] | null;
  /** What the upstream is shown: PEM. */
  certificate: { readonly cert: string; readonly key: string } | null;
}

/** Where the request goes. Null: as route and service say (`kong.service.set_target`, `set_upstream`, `request.set_path`…). */
export interface UpstreamChoice extends TlsChoice {
  scheme: 'http' | 'https' | null;
  /** The whole path upstream, escaped as it goes on the wire. */
  path: string | null;
  target: Target | { readonly upstream: string } | null;
  /** Milliseconds. */
  timeouts: { readonly connect: number; readonly read: number; readonly write: number } | null;
  retries: number | null;
  /** `grpc-web`: trailers of an HTTP/2 answer come as the last frame of its body (gRPC's PROTOCOL-WEB). Null: they are dropped. */
  trailers: 'grpc-web' | null;
}
