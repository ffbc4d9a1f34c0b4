import type { UpstreamFailure, UpstreamTls } from '../proxy/egress/egress.ts';
import type { ClientTls } from '../proxy/request-path.ts';
import type { Transport } from '../router/stream-rule.ts';

/** What a host knows of a session before anybody has looked at it. Addresses without the IPv6 form of IPv4. */
export interface StreamArrival {
  readonly protocol: Transport;
  readonly peerIp: string | null;
  readonly peerPort: number | null;
  /** Null: of a UDP listener on every address. */
  readonly localIp: string | null;
  readonly localPort: number;
  /** What a TLS client asked for; null: nothing, or no TLS. */
  readonly serverName: string | null;
  /** The client by the PROXY protocol; null: it was not spoken, or names nobody. */
  readonly proxied: ProxiedClient | null;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** Whom a proxy speaks for. */
export interface ProxiedClient {
  readonly ip: string;
  readonly port: number | null;
}

/** What to connect to. */
export interface StreamPlace {
  /** Name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Null: plain. */
  readonly tls: { readonly settings: UpstreamTls; readonly serverName: string } | null;
  /** Milliseconds, TLS included. */
  readonly connectTimeout: number;
}

/** Tries to connect. Never rejects. */
export type Dial<T> = (
  place: StreamPlace,
) => Promise<
  | { readonly kind: 'connected'; readonly connection: T }
  | { readonly kind: 'failure'; readonly failure: UpstreamFailure }
>;

/** A session under way, as the host that moves its bytes sees it: one config from its beginning to its end. */
export interface StreamPassage {
  /** TLS does not end here: the bytes of the handshake go to the upstream as they came. */
  readonly passthrough: boolean;
  /** Whom it is for, by what trusted peers say. */
  readonly client: ProxiedClient;
  /** Milliseconds without a byte in either direction after which it is over, and those a peer may take nothing. */
  readonly timeouts: { readonly read: number; readonly write: number };
  /** The client's TLS has ended here. Before `open`; not where it passes through. */
  secured(tls: ClientTls): void;
  /** Asks the plugins, chooses an upstream and connects, as often as its service allows. Null: it is refused, or there is none. Once. */
  open<T>(dial: Dial<T>): Promise<T | null>;
  /** What the client is sent where `open` gave nothing; null: nothing is said. */
  readonly farewell: Uint8Array | null;
  /** The upstream is there. For UDP not before its first answer, since nobody knows earlier. */
  connected(): void;
  /** The upstream that `open` gave turned out to be none, before it had sent anything (UDP): the next one, or null. */
  reopen<T>(failure: UpstreamFailure, dial: Dial<T>): Promise<T | null>;
  /** It is over, however it went. Once. */
  ended(moved: MovedBytes): void;
}

/** What passed, in bytes. */
export interface MovedBytes {
  readonly received: number;
  readonly sent: number;
  readonly upstream: { readonly received: number; readonly sent: number };
}
