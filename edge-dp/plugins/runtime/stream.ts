import type { ClientAddress } from '../../../shared/client-address.ts';
import type { ClientTls } from '../../proxy/request-path.ts';
import type { Authorities } from './authorities.ts';
import type { Try } from './exchange.ts';
import type { RouteView, ServiceView, Target, TlsChoice } from './request.ts';
import type { Slots } from './slot.ts';

/** A connection, or what one client sends to a UDP listener, that is no HTTP: as plugins see it before it is sent on. */
export interface StreamSession {
  /** 32 lower-case hex digits. */
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Who opened it: by the PROXY protocol where the peer is one of `trusted_ips`. */
  readonly client: ClientAddress;
  /** `tls`: of its route's protocols `tls` or `tls_passthrough`. */
  readonly protocol: 'tcp' | 'tls' | 'udp';
  /** What the client asked for by SNI; null: nothing, or no TLS. */
  readonly serverName: string | null;
  /** Of the listener, as clients reach it. */
  readonly serverPort: number;
  readonly route: RouteView;
  readonly service: ServiceView | null;
  readonly workspace: string;
  /** Nobody: there is nothing in a stream to tell consumers by. */
  readonly identity: { readonly consumer: null };
  /** What plugins tell each other (`kong.ctx.shared`). */
  readonly shared: Map<string, unknown>;
  readonly slots: Slots;
  /** TLS that ends here; null: it goes on to the upstream as it came, or there is none. */
  readonly tls: ClientTls | null;
  /** Whom certificates may be signed by, as the config has them. */
  readonly authorities: Authorities;
  readonly upstream: StreamChoice;
  /** What the client is sent when a plugin refuses the session; null: nothing. */
  farewell: Uint8Array | null;
  /** Work that goes on after its end. */
  waitUntil(work: Promise<unknown>): void;
}

/** Where a session goes. Null: as its service says. */
export interface StreamChoice extends TlsChoice {
  target: Target | null;
  /** False: no TLS to it, whatever the service's protocol. */
  tls: false | null;
}

/** What came of a session, when it is over. */
export interface StreamExchange {
  readonly session: StreamSession;
  /** For what keeps something by request: the session. */
  readonly request: StreamSession;
  /** nginx's: 200 once there was an upstream, else why there was none: 403, 499, 500, 502, 503. */
  readonly status: number;
  /** Bytes from the client and to it, without TLS. */
  readonly received: number;
  readonly sent: number;
  /** The same from and to the upstream. */
  readonly upstream: { readonly received: number; readonly sent: number };
  readonly tries: readonly Try[];
  /** Milliseconds until there was an upstream, or none; and until the end. */
  readonly latencies: { readonly kong: number; readonly session: number };
  /** Of the session's workspace; null: the config does not have it. */
  readonly workspaceName: string | null;
}
