import type { AccessLogFile } from '../../shared/access-log/format.ts';
import type { Manifest, PackedObject, PublicKeyJwk } from '../../shared/bundle/format.ts';
import type { CertificateDates, ProxySettings } from '../settings.ts';
import type { ForwardProxy } from './forward-proxy.ts';
import type { PluginChoice } from './own-plugins.ts';

/** What a host needs to run one data plane node; made from the settings by `cp/cli.ts` or by a test. */
export interface DataPlaneOptions {
  /** Folder of this node's own state (node id, KV, Durable Objects, generated workerd config). Created when absent. */
  readonly prefix: string;
  /** The node's id; absent or null: it makes one, and keeps it in `prefix`. */
  readonly nodeId?: string | null;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly group: string;
  readonly proxyListen: readonly Listener[];
  /** How `proxyListen` speaks TLS, on the host `node`; absent: Kong's `intermediate`. */
  readonly tls?: TlsLimits;
  /** What clients of `proxyListen` may take, on the host `node`; absent: nginx's defaults. */
  readonly http?: HttpLimits;
  readonly statusListen: readonly Listener[];
  /** For TCP, TLS and UDP, on hosts that have them; absent: none. */
  readonly streamListen?: readonly StreamListenAddress[];
  readonly controlPlanes: readonly { readonly host: string; readonly port: number }[];
  /** What connections to control planes go through; absent: nothing. */
  readonly forwardProxy?: ForwardProxy | null;
  readonly clusterTls: ClusterTls | null;
  /** Where telemetry goes, with `clusterTls` but for the name that is expected there; absent or null: nowhere. */
  readonly telemetry?: TelemetryOptions | null;
  readonly trustedKeys: { readonly cluster: string | null; readonly keys: readonly PublicKeyJwk[] };
  readonly cacheMode: 'unencrypted' | 'encrypted' | 'off';
  /** The node's `declarative_config`, checked and packed like a bundle (its manifest unsigned), or null. */
  readonly declarative: { readonly manifest: Manifest; readonly objects: readonly PackedObject[] } | null;
  /** Folder in which config for a new node appears, perhaps only later: `bundle.json`, `objects/<sha256>`; absent: in none. */
  readonly fallback?: string | null;
  /** workerd processes; Durable Objects live in the first. */
  readonly processes: number;
  readonly newsInterval: number;
  /** Which plugins it has; absent: all that are part of this project. */
  readonly plugins?: PluginChoice;
  /** How the names of targets are looked up, on hosts that can; absent: `SYSTEM_DNS`. */
  readonly dns?: DnsOptions;
  /** What connections of plugins' own are verified by where they name no CAs, on hosts that can; absent: the public CAs. */
  readonly trust?: TrustOptions;
  /** What the `env` vault has; absent: this process's environment on workerd, nothing on Miniflare. */
  readonly secrets?: SecretOptions;
  readonly proxy: Omit<ProxySettings, 'ports'>;
  /** Names by which a Status API at loopback may be asked besides `localhost`; absent: none. */
  readonly statusAllowedHosts?: readonly string[];
  /** The empty config its control plane begins with is none to be ready with; absent: it is one. */
  readonly awaitsConfig?: boolean;
  /** What `/metrics` tells the end of; absent: none. */
  readonly certificates?: readonly CertificateDates[];
  /** Absent: requests of the Status API are not logged. */
  readonly statusAccessLog?: AccessLogFile;
  readonly log: (level: 'info' | 'notice' | 'warn' | 'error', message: string) => void;
  /** What plugins and access logs write to `/dev/stdout` and `/dev/stderr`, without the end of the line; absent: as `log` at `info`. */
  readonly output?: (to: 'stdout' | 'stderr', line: string) => void;
}

/** What a data plane shows control planes, and what theirs must be. PEM. */
export interface ClusterTls {
  readonly cert: string;
  readonly key: string;
  /** What the control plane's certificate must chain to; in `shared` mode the certificate itself. */
  readonly ca: string;
  readonly serverName: string;
}

/** `cluster_telemetry_endpoint` and `cluster_telemetry_server_name`. */
export interface TelemetryOptions {
  readonly endpoints: readonly { readonly host: string; readonly port: number }[];
  readonly serverName: string;
}

/** Whose certificates are trusted (`lua_ssl_trusted_certificate`). */
export interface TrustOptions {
  readonly publicCas: boolean;
  /** PEM. */
  readonly certificates: readonly string[];
}

/** How targets' names are resolved (`dns_*`). */
export interface DnsOptions {
  /** `host` or `host:port` of the name servers; empty: those of the system. */
  readonly servers: readonly string[];
  /** Read again when it changes. */
  readonly hostsFile: string;
  /** Seconds records are good for; null: their TTL. */
  readonly validTtl: number | null;
  /** Seconds after which a name that was not there, and one of which no server knew, is asked for again. */
  readonly notFoundTtl: number;
  readonly errorTtl: number;
}

/** Where `{vault://env/…}` is looked up. Never logged, and on no disk but the file's. */
export interface SecretOptions {
  /** On workerd besides the environment of this process. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** Of `NAME=value` lines, which win; read again when it changes (on Miniflare: with each start and reload). */
  readonly file: string | null;
  /** What the names of variables that `{vault://env/…}` means begin with. */
  readonly prefix: string | null;
}

export const NO_SECRETS: SecretOptions = { variables: {}, file: null, prefix: null };

/** The system's name servers, and Kong's pauses. */
export const SYSTEM_DNS: DnsOptions = {
  servers: [],
  hostsFile: '/etc/hosts',
  validTtl: null,
  notFoundTtl: 30,
  errorTtl: 1,
};

/** An address to listen on. */
export interface Listener {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** PEM pair for a TLS listener. */
  readonly tls?: ListenerTls;
  /** Clients may speak HTTP/2, on hosts that can; absent: they may not. */
  readonly http2?: boolean;
  /** Connections begin with a header of the PROXY protocol, on hosts that can; absent: they do not. */
  readonly proxyProtocol?: boolean;
  /** What comes to it by TCP goes on behind such a header, where it is for streams; absent: it does not. */
  readonly sendProxyProtocol?: boolean;
  /** An IPv6 address takes IPv4 as well; absent: it does not. */
  readonly dualStack?: boolean;
}

/** What a listener shows. Hosts that show one pair take the first. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
  /** Pairs with other types of keys. */
  readonly others?: readonly { readonly cert: string; readonly key: string }[];
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** How the proxy's listeners speak TLS (`ssl_*`). */
export interface TlsLimits {
  readonly versions: readonly TlsVersion[];
  /** OpenSSL's list, for TLS 1.2 and below; null: OpenSSL's own. */
  readonly ciphers: string | null;
  /** The server's order counts, not the client's. */
  readonly preferServerCiphers: boolean;
  /** A group of RFC 7919, or parameters in PEM; null: no DHE. */
  readonly dhparam: string | null;
  readonly sessionTickets: boolean;
  /** Seconds. */
  readonly sessionTimeout: number;
  /** What is asked of clients; absent: nothing. */
  readonly clients?: ClientVerification;
  /** The same of clients of streams. */
  readonly streamClients?: ClientVerification;
  /** What the responders that certificates name say of them is shown with them. */
  readonly stapling: boolean;
}

/** How clients' certificates are looked at (`ssl_verify_client` and its kin of nginx). */
export interface ClientVerification {
  /** `on`: none is served without a good one. `optional`: one that is shown must be good. `optional_no_ca`: its CA may be unknown. */
  readonly mode: 'on' | 'optional' | 'optional_no_ca';
  /** PEM of what they must chain to, which clients are told; null: nothing, so that none can be good. */
  readonly ca: string | null;
}

/** What clients may take of a listener (nginx's directives of `nginx_http_*`). Times in milliseconds. */
export interface HttpLimits {
  /** For a request's head. */
  readonly headTimeout: number;
  /** Without taking any of its answer. */
  readonly sendTimeout: number;
  /** Between requests; 0: a connection ends with its first answer. */
  readonly idleTimeout: number;
  /** Of a connection. */
  readonly requests: number;
  /** A line of the head may not be longer than one buffer, the head not than all. */
  readonly headBuffers: { readonly count: number; readonly size: number };
}

/** The same for streams. */
export interface StreamListenAddress extends Listener {
  readonly udp: boolean;
}

/** A running data plane node. */
export interface DataPlane {
  readonly nodeId: string;
  /** The addresses really bound, in the order of the options. */
  readonly proxyAddresses: readonly { readonly host: string; readonly port: number; readonly tls: boolean }[];
  readonly statusAddresses: readonly { readonly host: string; readonly port: number; readonly tls: boolean }[];
  readonly streamAddresses?: DataPlane['proxyAddresses'];
  /** Process ids of the running workerd processes, first the one with the Durable Objects. */
  pids(): readonly number[];
  /**
   * Replaces the processes one by one, with no connection refused: with `options` (which must keep the prefix, the
   * listeners' addresses and the number of processes) or, to take a changed Worker, with those of the start. Rejects
   * when the new processes do not come up; the old ones serve on.
   */
  reload(options?: DataPlaneOptions): Promise<void>;
  /** Lets requests in flight finish (at most `drain` ms), then stops everything. */
  stop(drain?: number): Promise<void>;
}
