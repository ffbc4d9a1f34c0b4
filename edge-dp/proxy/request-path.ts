import type { UpstreamDirectory } from '../balancer/directory.ts';
import type { ConfigChanges } from '../config/changes.ts';
import type { LazyTables } from '../config/lazy.ts';
import type { HttpResponse, IncomingRequest } from '../http/messages.ts';
import type { TlsTerms } from '../plugins/runtime/handshake.ts';
import type { PluginPlan } from '../plugins/runtime/plan.ts';
import type { ShownMetrics } from '../plugins/runtime/services.ts';
import type { ProxiedClient, StreamArrival, StreamPassage } from '../stream/passage.ts';
import type { ExplainedCaller, ExplainedRequest, RequestExplanation } from './explanation.ts';
import type { ForeseeableRequest, Foreseen } from './foresee.ts';

/** What requests meet: that of one config, or of two between which they are split. */
export interface ServedPath {
  /** The upstreams of this config, with what is known of their targets. */
  readonly balancers: UpstreamDirectory;
  readonly shownMetrics: ShownMetrics;
  /** Where a request would go, why not elsewhere, and which plugins it would meet; nothing is sent. */
  explain(request: ExplainedRequest, caller: ExplainedCaller): RequestExplanation;
  /** What clients that ask for that server name are shown, the same object each time; null: what the listener has. */
  serverCertificate(serverName: string): ServerCertificate | null;
  /** How the TLS of a client is to go on; null: nobody says anything about it. Never rejects. */
  beginTls(arrival: TlsArrival): Promise<TlsTerms | 'refused'> | null;
  /**
   * The isolate is about to end: what plugins have queued goes out without waiting for company. Gives how much there is that is
   * not out yet: requests that will be logged, and entries.
   */
  finish(): number;
  /** Begins a session that is no HTTP, on hosts that take such; null: no route is for it. */
  openSession(arrival: StreamArrival, serial: number | null): StreamPassage | null;
  /** `serial` is that of this config, for those who count by it. */
  handle(request: IncomingRequest, arrival: Arrival, lazy: LazyTables, serial: number | null): Promise<HttpResponse>;
}

/**
 * Everything between `fetch` and the response for one config: router, plugin chains, balancer, egress. Immutable; a
 * change of config makes a new one that shares what did not change, at a cost proportional to the change.
 */
export interface RequestPath extends ServedPath {
  /**
   * The request path after `changes`. Throws `ConfigError` naming the row and the reason when it does not compile;
   * the receiver stays as it was and goes on serving.
   */
  update(changes: ConfigChanges): RequestPath;
  /** What a request meets, as far as that can be told without sending it; all that changes seldom is the same object each time. */
  foresee(request: ForeseeableRequest): Foreseen;
  /** The same for the requests that a release is tried on: what becomes of them says nothing of targets, which the others share. */
  onTrial(release: string): RequestPath;
  /** Its plugins, for `settle` of another. */
  readonly plans: readonly PluginPlan[];
  /**
   * Requests see this config now, and `beside` it others: what was in force `before` and is in none of them is let go of. Where
   * neither is more than one, this one knows by itself what that is, unless it was made `apart` from those.
   */
  settle(before?: readonly RequestPath[], beside?: readonly RequestPath[], apart?: boolean): void;
  /** Who the client is, as plugins and logs know it; empty where the host does not tell. */
  clientIp(request: IncomingRequest, arrival: Arrival): string;
  /**
   * Whose credential a request shows, by the id of the consumer: what authentication plugins of its route find without a look at
   * whether it is good. Null: nobody's. Rejects when that cannot be known now.
   */
  claimant(request: IncomingRequest, arrival: Arrival, lazy: LazyTables): Promise<string | null>;
}

/** A certificate with its chain, and its key: PEM. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string | null;
  /** Another pair of it, with a key of another type. */
  readonly alternative: { readonly cert: string; readonly key: string } | null;
  /** Why the pair cannot be shown, and nothing may be in its place: a secret of it is not there. */
  readonly missing: string | null;
}

/** What a host that does TLS knows of a client before it answers. Addresses without the IPv6 form of IPv4. */
export interface TlsArrival {
  /** What the listener is for: HTTP, or what is none. */
  readonly protocol: 'https' | 'tls';
  readonly peerIp: string | null;
  readonly peerPort: number | null;
  /** By the PROXY protocol; null: it was not spoken, or names nobody. */
  readonly proxied: ProxiedClient | null;
  readonly localPort: number;
  readonly serverName: string | null;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** TLS as the client speaks it. */
export interface ClientTls {
  /** `TLSv1.3` and the like. */
  readonly version: string;
  /** In OpenSSL's names. */
  readonly cipher: string;
  /** Of its certificate, as nginx's `$ssl_client_verify`: `NONE`, `SUCCESS` or `FAILED:<reason>`. */
  readonly clientVerify: string;
  /** Why nothing is served over this connection, in the words for the client: its certificate is not there, or not good. Null: it is. */
  readonly refusal: string | null;
  /** Null: it showed none, or the host does not tell. */
  readonly clientCertificate: ClientCertificate | null;
}

/** What a client showed of itself, whatever came of the look at it. */
export interface ClientCertificate {
  /** Null: the host knows only the rest. */
  readonly pem: string | null;
  /** Distinguished names as RFC 2253 writes them. */
  readonly subject: string;
  readonly issuer: string;
  /** Upper-case hex digits. */
  readonly serial: string;
  /** SHA-1, in lower-case hex digits: nginx's way of naming certificates. */
  readonly fingerprint: string;
  /** As `Nov 29 05:20:00 2026 GMT`. */
  readonly notBefore: string;
  readonly notAfter: string;
}

/** How a request reached this data plane: what its messages do not say. */
export interface Arrival {
  /** The socket peer; null where the host does not tell. */
  readonly peerIp: string | null;
  readonly peerPort: number | null;
  /** Whom the peer says it speaks for, by the PROXY protocol; absent or null: for nobody. */
  readonly proxied?: ProxiedClient | null;
  /** The address the client connected to; null where the host does not tell. */
  readonly localIp: string | null;
  /** The listener it came in on. */
  readonly localPort: number | null;
  readonly scheme: 'http' | 'https';
  readonly sni: string | null;
  /** Null: no TLS, or the host does not tell. */
  readonly tls: ClientTls | null;
  /** What the network knows of the client (`edge.*` in expressions); null where there is no such network. */
  readonly edge: Readonly<Record<string, unknown>> | null;
  readonly waitUntil: (work: Promise<unknown>) => void;
}
