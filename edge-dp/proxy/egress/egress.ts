import { carrierOf } from '../../http/fetch/request.ts';
import type { HeaderFields } from '../../http/fields.ts';
import type { BodySource, HttpResponse, IncomingRequest } from '../../http/messages.ts';
import { ReadTimeout } from '../../http/read-timeout.ts';
import type { EgressFailure, EgressFailureCode, EgressTimeouts, ProxyHop, UpstreamTls } from './protocol.ts';

export type { UpstreamTls } from './protocol.ts';

/** One attempt to get an answer from one address, complete down to the request target's bytes. */
export interface UpstreamRequest {
  readonly scheme: 'http' | 'https';
  /** Name or address to connect to; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Value of the Host header. */
  readonly authority: string;
  /** Path and query as they go on the wire. */
  readonly target: string;
  readonly method: string;
  /** Without Host and without hop-by-hop headers. */
  readonly headers: HeaderFields;
  readonly body: UpstreamBody;
  /** `2` for gRPC upstreams. */
  readonly version: '1.1' | '2';
  /** With version `2`: the trailers of the answer are appended to its body, as a frame of gRPC-Web. */
  readonly trailers?: 'grpc-web';
  readonly websocket: boolean;
  /** Somebody must learn when the exchange is over: a WebSocket's end is not told by every way. */
  readonly followed?: boolean;
  readonly tls: UpstreamTls;
  /** For `https`: the server name (SNI) asked for and found in the certificate, where it is not the Host's. */
  readonly serverName?: string;
  readonly timeouts: EgressTimeouts;
  /** Only with `https` and HTTP/1.1. Absent: no proxy is between. */
  readonly proxy?: ProxyHop;
  /** Whom it is sent for: a host that sends by itself ends it when that client leaves. Absent for the gateway's own. */
  readonly client?: Pick<IncomingRequest, 'clientLeft' | 'onClientLeft' | 'inform'>;
  /** Whether the client has gone while it waited; absent where nobody can tell. Never rejects. */
  readonly hasLeft?: (() => Promise<boolean>) | undefined;
  /** Of the client's request, in a runtime where a timer costs more than to share one. */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/**
 * `incoming` is the client's own body, streamed: it can be sent once. Bytes can be sent again.
 * `length` is the declared Content-Length, null for chunked; `patience` the milliseconds to wait for each part of it.
 */
export type UpstreamBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'incoming';
      readonly source: BodySource;
      readonly length: number | null;
      readonly patience: number;
      readonly limit: BodyLimit | null;
    };

/** Bytes of a body that may pass, and what the client is told who sends more. */
export interface BodyLimit {
  readonly bytes: number;
  readonly message: string;
  readonly status: 413 | 417;
}

/**
 * Whether native fetch can carry the body: with GET and HEAD a Request takes one only from the client's own request, and the
 * runtime then sends it only when its length is known.
 */
export function isCarried({ method, body }: Pick<UpstreamRequest, 'method' | 'body'>): boolean {
  if (method !== 'GET' && method !== 'HEAD') return true;
  if (body.kind !== 'incoming') return body.kind === 'none';
  return body.length !== null && carrierOf(body.source)?.method === method;
}

export type UpstreamResult =
  | { readonly kind: 'response'; readonly response: HttpResponse }
  | { readonly kind: 'failure'; readonly failure: UpstreamFailure };

/**
 * `client_too_large`: more came than the body's `limit`; `message` is for the client. `unsupported`: no egress of this runtime can
 * do what the service asks; `message` names what. `client_closed`: the client's body broke off, `client_timeout`: it stopped coming,
 * `client_left`: nobody waits for the answer any more. None of them says anything about the upstream.
 */
export interface UpstreamFailure extends Omit<EgressFailure, 'code'> {
  readonly code: EgressFailureCode | 'unsupported' | ClientFailureCode;
  /** True: it may as well have been the client, whose body the runtime moved by itself, or something of this node. */
  readonly unproven?: boolean;
}

type ClientFailureCode = 'client_closed' | 'client_timeout' | 'client_left' | 'client_too_large';

/** More of a body came than it may have. The message is for the client. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';
  readonly status: BodyLimit['status'];

  constructor({ message, status }: BodyLimit) {
    super(message);
    this.status = status;
  }
}

/** What the client's body failed by, from what reading it threw. */
export function clientFailure(error: unknown): ClientFailureCode {
  if (error instanceof BodyTooLarge) return 'client_too_large';
  return error instanceof ReadTimeout ? 'client_timeout' : 'client_closed';
}

export type EgressName = 'network' | 'process' | 'sockets';

/** A way out of the runtime. Never throws: what goes wrong is a result. */
export interface Egress {
  send(request: UpstreamRequest): Promise<UpstreamResult>;
}

/** An egress among others: what of a request it cannot say, in words for the operator; null when it can say all. */
export interface EgressWay extends Egress {
  readonly name: EgressName;
  cannot(request: UpstreamRequest): string | null;
}

/**
 * Sends each request the first way that can say all of it. What none can say fails closed, with each way's reason:
 * a request never goes out unverified, with another Host, or without its client certificate instead.
 */
export function chooseEgress(ways: readonly EgressWay[]): Egress {
  return {
    send(request) {
      for (const way of ways) if (way.cannot(request) === null) return way.send(request);
      const reasons = ways.map((way) => `${way.name}: ${way.cannot(request)}`);
      return Promise.resolve(failed('unsupported', false, reasons.join('; ')));
    },
  };
}

export function failed(code: UpstreamFailure['code'], sent: boolean, message: string): UpstreamResult {
  return { kind: 'failure', failure: { code, sent, message } };
}

/** A failure that nobody may be blamed for. */
export function failedUnproven(code: UpstreamFailure['code'], message: string): UpstreamResult {
  return { kind: 'failure', failure: { code, sent: true, message, unproven: true } };
}

/**
 * What of a response head the runtime could not pass on, in words; null when it can. It takes an interim response for the
 * final one (and the real one for its body), and lets no Worker answer with a status that is not from 200 to 599.
 */
export function unusable({
  status,
  webSocket,
}: {
  readonly status: number;
  readonly webSocket: unknown;
}): string | null {
  if (status >= 200 && status <= 599) return null;
  if (status === 101 && webSocket !== null) return null;
  return `the upstream answered with status ${status}`;
}

/** The name TLS asks for and checks (Kong's is that of the Host); null for an address, which has none. */
export function serverNameOf({ authority, serverName }: UpstreamRequest): string | null {
  const given = serverName ?? authority;
  const name = OWN_PORT.test(given) ? given.replace(/:\d+$/, '') : given;
  return name.startsWith('[') || name.includes(':') || /^[\d.]+$/.test(name) ? null : name.toLowerCase();
}

/** Whether that is what a connection to the address itself asks for. */
export function isNamedByAddress(request: UpstreamRequest): boolean {
  const name = serverNameOf(request);
  return name === null || name === request.host.toLowerCase();
}

/** `host` as it stands in a URL or a Host header. */
export function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

/** The Host of requests to a name at a port; a name may hold a port of its own (`host_header`). */
export function authorityOf(name: string, port: number, secure: boolean): string {
  if (name.includes(':') && OWN_PORT.test(name)) return name;
  return port === (secure ? 443 : 80) ? bracketed(name) : `${bracketed(name)}:${port}`;
}

const OWN_PORT = /^(?:[^:]*|\[.*\]):\d+$/;
