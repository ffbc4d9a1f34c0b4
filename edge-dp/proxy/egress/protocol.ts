/**
 * What the Worker and the host's egress process say to each other over the `EGRESS` binding (HTTP/1.1 on a Unix
 * socket). Types, constants and the header coding only: both sides import this file.
 *
 * - A request with the header `EGRESS_TARGET` is to be sent upstream: headers and body are the request's own, the method too
 *   unless the target names one, everything else (address, Host, request target, TLS, timeouts) is in the header. The URL it is fetched with is
 *   ignored. With `Upgrade: websocket` the connection becomes a tunnel after the upstream's 101.
 * - `PUT /identities/<name>` hands over a `TlsIdentity` once; `EgressTarget.tls.identity` refers to it by name.
 *   Answers 204. Identities survive a crash of the egress process, and are let go of when they were not used for long.
 * - `GET /exchanges/<name>/end` is answered, with a 204, when the WebSocket that was asked for as `EgressTarget.exchange` is over.
 * - `GET /connections/<ip>/<port>?to=<port>` is answered 410 when that client has closed its connection to a listener of this
 *   node, and 204 when it has not or nobody knows: the runtime does not notice.
 * - `GET /dns/<host>?type=A|AAAA|SRV` answers a `DnsAnswer`, which the runtime cannot give.
 *
 * What the upstream answered comes back as the response, 1xx left out. What it could not answer comes back as a 502 or
 * 504 with the header `EGRESS_ERROR`; no response of an upstream carries that header. An upstream that dies in the
 * middle of a body resets the connection, which the Worker sees as an error of the body's stream.
 */

/** Where to send the request: `encodeHeader(EgressTarget)`. */
export const EGRESS_TARGET = 'x-holdfast-egress-target';
/** Why there is no upstream response: `encodeHeader(EgressFailure)`. */
export const EGRESS_ERROR = 'x-holdfast-egress-error';
/** The Content-Length of an answer to a HEAD that came as a POST: as one to a POST it has none, and no body. */
export const EGRESS_LENGTH = 'x-holdfast-egress-length';
/** Proves that the caller is this node's Worker. The host adds it to the binding; the Worker never sees it. */
export const EGRESS_TOKEN = 'x-holdfast-egress-token';
/** Base of the URLs fetched through the binding. */
export const EGRESS_ORIGIN = 'http://egress';

export interface EgressTarget {
  readonly scheme: 'http' | 'https';
  /** Name or address to connect to; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** `2`: HTTP/2 by ALPN on https, with prior knowledge on http. */
  readonly version: '1.1' | '2';
  /** Value of the Host header (`:authority` in HTTP/2). */
  readonly authority: string;
  /** Request target as it goes on the wire: path and query. */
  readonly path: string;
  /** For a method the Worker cannot fetch with this body. */
  readonly method?: string;
  /** For `https`. Null: the public CAs, verified, no client certificate, `host` as server name. */
  readonly tls: {
    /** Name of a `TlsIdentity` handed over before, or null for the public CAs, verified. */
    readonly identity: string | null;
    /** SNI, and the name the certificate must carry. Null: `host`, unless it is an address (then no SNI). */
    readonly serverName: string | null;
  } | null;
  readonly timeouts: EgressTimeouts;
  /** An HTTP proxy that makes the connection (CONNECT). Absent: there is none between. */
  readonly proxy?: ProxyHop;
  /** A name of the Worker's own for a WebSocket whose end it will ask for. */
  readonly exchange?: string;
  /** `grpc-web`: append the response's trailers to its body as a gRPC-Web trailer frame (HTTP/2 only). */
  readonly trailers?: 'grpc-web';
}

/** An HTTP proxy, spoken to in clear. */
export interface ProxyHop {
  /** Name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Null: it asks nobody who they are. */
  readonly credentials: { readonly user: string; readonly password: string } | null;
}

/** Milliseconds, as a service's `connect_timeout`, `read_timeout`, `write_timeout`: the last two are between two
 * successive operations, not for a whole transfer. */
export interface EgressTimeouts {
  readonly connect: number;
  readonly read: number;
  readonly write: number;
}

/** What a service asks of TLS; means nothing for `http`. */
export interface UpstreamTls {
  /** Null: not said, which is Kong's default of not verifying. */
  readonly verify: boolean | null;
  readonly verifyDepth: number | null;
  /** PEM; empty for the public CAs. */
  readonly ca: readonly string[];
  readonly certificate: { readonly cert: string; readonly key: string } | null;
  /** `node`: verified by the CAs that the host was given (`lua_ssl_trusted_certificate`), not by `ca`. */
  readonly trust?: 'node';
}

/** Milliseconds without use after which a TLS identity is handed over anew, and those, longer, after which the egress process lets go of it. */
export const IDENTITY_HANDED_ANEW = 60 * 60_000;
export const IDENTITY_LET_GO = 2 * IDENTITY_HANDED_ANEW;

/** The name of that TLS identity, which nobody hands over. */
export const NODE_TRUST = 'node';

/** How to do TLS with an upstream. Its name is the lower-case hex SHA-256 of the bytes that were PUT. */
export interface TlsIdentity {
  /** False: take any certificate. */
  readonly verify: boolean;
  /** Longest chain accepted, counted as OpenSSL does (the leaf is 0); null: no limit. */
  readonly verifyDepth: number | null;
  /** PEM. Null: the public CAs. */
  readonly ca: readonly string[] | null;
  /** PEM pair to present, chain included. */
  readonly certificate: { readonly cert: string; readonly key: string } | null;
}

export type EgressFailureCode =
  /** The token is missing or wrong: somebody else on this machine. */
  | 'unauthorized'
  /** The target header or the operation is not understood; `message` says what. */
  | 'bad_request'
  /** `tls.identity` was never handed over: PUT it and try again. */
  | 'unknown_identity'
  /** The name does not resolve. */
  | 'dns'
  | 'connection_refused'
  /** This machine has no file handles or memory left for it: says nothing about the upstream. */
  | 'exhausted'
  /** No route, network down, address in use…: the connection could not be made for another reason. */
  | 'unreachable'
  | 'connect_timeout'
  /** Handshake failed or the certificate was not accepted, by either side. */
  | 'tls'
  /** The upstream closed or reset the connection before a complete response head. */
  | 'closed'
  | 'read_timeout'
  | 'write_timeout'
  /** What came back is not HTTP. */
  | 'protocol';

/** Why there is no response. */
export interface EgressFailure {
  readonly code: EgressFailureCode;
  /** Whether any of the request may have reached the upstream: when false any request may be retried elsewhere. */
  readonly sent: boolean;
  /**
   * True: the connection had served other requests before, and the upstream closed it without a byte of answer to this one,
   * most likely because it had been idle (RFC 9112 section 9.3.1).
   */
  readonly stale?: boolean;
  /** In plain words, for the log. */
  readonly message: string;
}

/** `ttl` in seconds. Empty `records`: the name exists without such a record. */
export type DnsAnswer =
  | {
      readonly status: 'ok';
      readonly records: readonly DnsRecord[];
      /** The system's own resolver was asked, as the runtime does for a name it connects to. */
      readonly system: boolean;
    }
  /**
   * `not_found`: NXDOMAIN. `failed`: no usable answer (server failure, timeout): keep what you have. `retry`: seconds after
   * which it is worth asking again.
   */
  | { readonly status: 'not_found' | 'failed'; readonly message: string; readonly retry: number };

/** One record of an answer; `ttl` in seconds. */
export interface DnsRecord {
  /** An IP address, or for SRV the target's name. */
  readonly address: string;
  readonly ttl: number;
  /** SRV only. */
  readonly port?: number;
  readonly priority?: number;
  readonly weight?: number;
}

/** JSON that fits into a header: everything outside printable ASCII escaped. */
export function encodeHeader(value: EgressTarget | EgressFailure): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Reads an `EGRESS_ERROR` header; a text that is not one (it never is) becomes `protocol`. */
export function decodeFailure(text: string): EgressFailure {
  try {
    const value: Partial<EgressFailure> = JSON.parse(text);
    if (value.code !== undefined && value.message !== undefined)
      return {
        code: value.code,
        sent: value.sent ?? true,
        message: value.message,
        ...(value.stale === true && { stale: true }),
      };
  } catch {
    // Falls through: the same answer as for JSON of another shape.
  }
  return { code: 'protocol', sent: true, message: 'unreadable answer of the egress process' };
}
