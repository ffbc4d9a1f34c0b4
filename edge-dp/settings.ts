import type { AccessLogFile } from '../shared/access-log/format.ts';
import type { PublicKeyJwk } from '../shared/bundle/format.ts';
import type { NodeDescription } from '../shared/cluster/messages.ts';

/** The JSON binding made from the node's settings. */
export interface WorkerSettings {
  readonly node: Omit<NodeDescription, 'plugins'>;
  /** The cluster this node belongs to; null or absent: the first verified manifest decides, and is remembered. */
  readonly cluster?: string | null;
  readonly trustedKeys: readonly PublicKeyJwk[];
  /** How many `CONTROL_PLANE…` bindings there are. */
  readonly controlPlanes: number;
  /** `https://host:port` of each, on Cloudflare: there a binding carries the client certificate, but no address. */
  readonly controlPlaneOrigins?: readonly string[];
  /**
   * For `wrangler dev`, which can show no client certificate: origins are linked with in plain HTTP, those of this machine alone, and
   * requests of this machine alone are served.
   */
  readonly developmentLink?: boolean;
  /** To whom requests are told; absent: to nobody. `origins` as `controlPlaneOrigins`. */
  readonly telemetry?: { readonly endpoints: number; readonly origins?: readonly string[] };
  readonly cacheMode: 'unencrypted' | 'encrypted' | 'off';
  /** base64 AES-256 key for `encrypted`, or a reference to the variable that holds it (`{vault://env/…}`). */
  readonly cacheKey?: string;
  /**
   * Milliseconds between an isolate's questions to `NODE` for newer config, off the request's path; on own hosts only after
   * one that failed, since there the owner keeps a question until there is news.
   */
  readonly newsInterval: number;
  /** What the names of the variables that `{vault://env/…}` means begin with; absent or null: nothing. */
  readonly vaultEnvPrefix?: string | null;
  readonly proxy: ProxySettings;
  readonly status: StatusSettings;
}

export interface StatusSettings {
  /** Names, in lower case, by which a Status API at loopback may be asked besides `localhost`. */
  readonly allowedHosts: readonly string[];
  /** It listens at loopback alone; used where the host does not say so of the single listener. */
  readonly loopback: boolean;
  /** `status_access_log`; absent: off. */
  readonly accessLog?: AccessLogFile;
  /** Not ready with the empty config that its control plane begins with: without a database somebody is to give it one. */
  readonly awaitsConfig?: boolean;
  /** Of the link and the listeners, on hosts that know them; absent: none. */
  readonly certificates?: readonly CertificateDates[];
  /**
   * On Cloudflare, where the Worker has no listener but the proxy's: what paths of the Status API begin with, behind which it is read with
   * the secret `STATUS_TOKEN`; absent: it is not.
   */
  readonly path?: string;
}

/** A certificate that the node works with, by the setting that names it. */
export interface CertificateDates {
  readonly setting: string;
  readonly subject: string;
  /** ISO 8601. */
  readonly validTo: string;
}

/** What Lua in config may do. */
export interface LuaSettings {
  readonly untrusted: 'off' | 'sandbox' | 'on';
  /** Modules the sandbox lets through `require`. */
  readonly requires: readonly string[];
  /** Globals it has besides the usual ones, dots for fields. */
  readonly environment: readonly string[];
  /** The setting `plugins`, which scripts can read; absent: the bundled ones. */
  readonly plugins?: readonly string[];
  /** Which of the node's processes runs it, from 0, and how many there are; absent: there is but one, or nobody counts them. */
  readonly process?: { readonly place: number; readonly count: number };
}

export const DEFAULT_LUA: LuaSettings = { untrusted: 'sandbox', requires: [], environment: [] };

/** Which steps of a request become spans (`tracing_instrumentations`), and of how many requests. */
export interface TracingSettings {
  /** `all`, or Kong's names of steps; empty: none. */
  readonly instrumentations: readonly string[];
  /** From 0 to 1. */
  readonly samplingRate: number;
}

export const NO_TRACING: TracingSettings = { instrumentations: [], samplingRate: 0.01 };

/** How certificates of upstreams are looked at where a service says nothing. */
export interface UpstreamTlsSettings {
  readonly verify: boolean;
  /** Longest chain accepted, the leaf is 0; null: no limit. */
  readonly verifyDepth: number | null;
  /** PEM; empty for the public CAs. */
  readonly ca: readonly string[];
}

/** Kong's proxy properties, parsed. */
export interface ProxySettings {
  /** The host was given CAs that plugins' connections are verified by (`lua_ssl_trusted_certificate`); absent: the public ones. */
  readonly ownTrust?: boolean;
  /** nginx's `proxy_ssl_*`, of HTTP and of streams; absent: nothing is verified unasked. */
  readonly upstreamTls?: { readonly http: UpstreamTlsSettings; readonly stream: UpstreamTlsSettings };
  readonly routerFlavor: 'traditional_compatible' | 'expressions' | 'traditional';
  /** What clients reach listeners by, by the listeners' ports (`port_maps`); absent: by those. */
  readonly portMaps?: Readonly<Record<number, number>>;
  readonly trustedIps: readonly string[];
  readonly realIpHeader: string;
  readonly realIpRecursive: boolean;
  /** Tokens of `headers`: `server_tokens`, `latency_tokens`, `X-Kong-Request-Id`…; empty for `off`. */
  readonly headers: readonly string[];
  readonly headersUpstream: readonly string[];
  readonly allowDebugHeader: boolean;
  /** `untrusted_lua` and its lists; absent: the sandbox, with nothing added. */
  readonly lua?: LuaSettings;
  /** `proxy_access_log`; absent: off. */
  readonly accessLog?: AccessLogFile;
  /** Absent: `NO_TRACING`. */
  readonly tracing?: TracingSettings;
  readonly errorDefaultType: string;
  /** Bytes for copies of answers (`mem_cache_size`); absent: what an isolate on Cloudflare, with 128 MB in all, has room for. */
  readonly memCacheSize?: number;
  /** Kong's `dns_order` for names of targets; absent: `LAST, SRV, A, AAAA`. */
  readonly dnsOrder?: readonly ('LAST' | 'SRV' | 'A' | 'AAAA')[];
  /** The names of services that are no upstream are looked up by the node (`dns_resolver` is set), not by the runtime. */
  readonly resolvesServices?: boolean;
  /** The node listens for TCP, TLS or UDP (`stream_listen`); absent: it does not, and routes of such are not compiled. */
  readonly streams?: boolean;
  /** Requests of which the node remembers what they look like, and headers besides whose values (`replay_sample`); absent: none. */
  readonly replaySample?: { readonly size: number; readonly headers: readonly string[] };
  /** Milliseconds to wait for each part of a client's body (`nginx_http_client_body_timeout`). */
  readonly clientBodyTimeout: number;
  /** Bytes of a request's body (`nginx_http_client_max_body_size`); absent or 0: as many as come. */
  readonly maxBodySize?: number;
  /** Listener ports, first plain then TLS, for `X-Forwarded-Port` and port-specific routes. */
  readonly ports: { readonly http: number | null; readonly https: number | null };
}

/** Bytes of memory for copies of answers. */
export function responseMemory({ memCacheSize = 32 << 20 }: Pick<ProxySettings, 'memCacheSize'>): number {
  return memCacheSize;
}
