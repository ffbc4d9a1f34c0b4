import { LOG_LEVELS } from '../instance/log-levels.ts';
import { accessLog, logFormat } from './access-log.ts';
import {
  hostNames,
  listen,
  parseDnsType,
  parseHttpUrl,
  parseIpOrCidr,
  parseNameServer,
  peers,
  portMaps,
} from './addresses.ts';
import { CIPHER_SUITES, TLS_VERSIONS } from './client-tls.ts';
import {
  buffers,
  duration,
  headerName,
  integer,
  labels,
  list,
  oneOf,
  oneOrMore,
  onOff,
  optionalInteger,
  type PropertyValue,
  path,
  secret,
  share,
  size,
  spaced,
  text,
  uuid,
  words,
} from './property.ts';
import { streamListen } from './stream-listen.ts';

/** Kong's, and AAAA for names that have nothing else. */
const DNS_ORDER = 'LAST, SRV, A, AAAA, CNAME';
const SECOND_LIMIT = 2 ** 31 - 1;
const DAY = 24 * 3_600_000;

/** Kong's; database queries and plugins' HTTP requests are accepted, and make no spans here. */
const TRACED_STEPS = [
  'all',
  'request',
  'db_query',
  'dns_query',
  'router',
  'http_client',
  'balancer',
  'plugin_rewrite',
  'plugin_access',
  'plugin_header_filter',
] as const;

/** What Kong can add to answers; those of its Admin API are there whatever this says. */
const HEADER_TOKENS = [
  'server_tokens',
  'latency_tokens',
  'Server',
  'Via',
  'X-Kong-Proxy-Latency',
  'X-Kong-Upstream-Latency',
  'X-Kong-Response-Latency',
  'X-Kong-Admin-Latency',
  'X-Kong-Upstream-Status',
  'X-Kong-Request-Id',
] as const;

/**
 * Every setting, by Kong's name and with Kong's meaning; those Kong does not have carry a comment. The defaults run
 * role `traditional` from an empty folder.
 */
export const properties = {
  role: oneOf(['traditional', 'control_plane', 'data_plane'], 'traditional'),
  /** This node's id; unset: one that is made on the first start. In role `traditional` the control plane's. */
  node_id: uuid(),
  /** Folder for everything Holdfast keeps: database, certificates, keys, the data plane's cache. */
  prefix: text('.holdfast'),
  log_level: oneOf(LOG_LEVELS, 'notice'),
  /** `json`: a JSON object in each line of the log. */
  log_format: oneOf(['text', 'json'], 'text'),

  database: oneOf(['embedded', 'postgres', 'off'], 'embedded'),
  pg_host: text('127.0.0.1'),
  pg_port: integer(5432, [1, 65535]),
  pg_timeout: integer(5000, [1, SECOND_LIMIT]),
  pg_user: text('kong'),
  pg_password: secret(null),
  pg_database: text('kong'),
  pg_schema: text('public'),
  pg_ssl: onOff('off'),
  pg_ssl_verify: onOff('off'),
  /** PEM file the server's certificate must chain to when `pg_ssl_verify` is on; Node's own roots when unset. */
  pg_ssl_ca_cert: text(null),
  /** Connections of the pool. */
  pg_pool_size: integer(10, [1, 1000]),

  admin_listen: listen('127.0.0.1:8001'),
  admin_ssl_cert: text(null),
  admin_ssl_cert_key: secret(null),
  /** Names of this server under which browsers may ask the Admin API and the web UI at loopback: see `BrowserGuard`. */
  admin_allowed_hosts: hostNames(),
  /** The header in which a proxy in front of the Admin API, one of `trusted_ips`, says who asks: kept with every change. */
  admin_user_header: headerName(),
  /** A line for each request; Kong's notation: a path, perhaps the name of a format, or `off`. */
  admin_access_log: accessLog('logs/admin_access.log'),
  admin_gui_listen: listen('127.0.0.1:8002'),
  admin_gui_ssl_cert: text(null),
  admin_gui_ssl_cert_key: secret(null),
  admin_gui_url: list('', "comma-separated 'http://' or 'https://' URLs", parseHttpUrl),
  admin_gui_path: path('/'),
  admin_gui_api_url: text(null),
  /** Folder with a built web UI, such as Kong Manager's `dist`; without one the listener says that there is none. */
  admin_gui_dir: text(null),

  cluster_listen: listen('0.0.0.0:8005'),
  cluster_telemetry_listen: listen('0.0.0.0:8006'),
  /** At loopback alone: the link without TLS and certificates, for data planes under development (`wrangler dev`). */
  cluster_dev_listen: listen('off'),
  cluster_control_plane: peers('127.0.0.1:8005'),
  /** `cluster_telemetry_listen` of control planes, to which a data plane tells what became of requests; empty: it tells nobody. */
  cluster_telemetry_endpoint: peers(''),
  cluster_mtls: oneOf(['shared', 'pki'], 'shared'),
  cluster_cert: text(null),
  cluster_cert_key: secret(null),
  cluster_ca_cert: text(null),
  /** Shown on the cluster's ports to those who ask for its name: a pair of a public CA, for data planes on Cloudflare. */
  cluster_server_cert: text(null),
  cluster_server_cert_key: secret(null),
  cluster_server_name: text(null),
  cluster_telemetry_server_name: text(null),
  cluster_ocsp: oneOf(['on', 'off', 'optional'], 'off'),
  /** Data planes reach control planes through `proxy_server`. */
  cluster_use_proxy: onOff('off'),
  /** A forward proxy: `http://` or `https://`, perhaps with `user:password@`. */
  proxy_server: secret(null),
  /** Whether the certificate of an `https://` one is looked at, by `lua_ssl_trusted_certificate`. */
  proxy_server_ssl_verify: onOff('on'),
  /** Control planes write what they publish to `cluster_fallback_config_storage`; a data plane that is new takes it from there. */
  cluster_fallback_config_export: onOff('off'),
  cluster_fallback_config_import: onOff('off'),
  /** `file:///folder`, `s3://bucket/prefix`, or an `https://` URL that takes PUT; perhaps with credentials. */
  cluster_fallback_config_storage: secret(null),
  /** Seconds from a change to its export. */
  cluster_fallback_config_export_delay: integer(60, [1, SECOND_LIMIT]),
  /** JSON: what S3's PutObject is told besides. */
  cluster_fallback_export_s3_config: text(null),
  cluster_data_plane_purge_delay: integer(1_209_600, [60, SECOND_LIMIT]),
  cluster_max_payload: integer(16_777_216, [4_194_304, SECOND_LIMIT]),
  cluster_dp_labels: labels(''),
  /** Of a data plane: a label of its own, by which groups may choose it. `default`: none. */
  cluster_group: text('default'),
  /** File with the private key that signs bundles. Control planes only. */
  bundle_signing_key: text(null),
  /** JWK Set file with the public keys a data plane takes bundles from. */
  bundle_trusted_keys: text(null),
  /** JWK Set file with public keys that data planes shall trust from now on: those of the next signing key (rotation). */
  bundle_introduced_keys: text(null),
  /** Releases that are over which are kept of each group; 0: none, and nothing of what groups are given at once. */
  release_history_count: integer(100, [0, 10_000]),
  /** Seconds for which they are kept; 0: without end. */
  release_history_age: integer(7_776_000, [0, SECOND_LIMIT]),
  /** Publish even a config that lost most of its rows without deletes on record: see `cp/publisher/shrink-guard.ts`. */
  publish_near_empty: onOff('off'),
  /** What runs the data plane on this machine: workerd, as at the edge, or Node itself. */
  data_plane_host: oneOf(['workerd', 'node'], 'workerd'),
  data_plane_config_cache_mode: oneOf(['unencrypted', 'encrypted', 'off'], 'unencrypted'),
  declarative_config: text(null),
  /** The document itself, where there is no file; it may hold secrets. */
  declarative_config_string: secret(null),
  /** What the names of the variables that `{vault://env/…}` means begin with. */
  vault_env_prefix: text(null),
  /** File of `NAME=value` lines that the vault `env` has besides the environment; read again when it changes. */
  vault_env_file: text(null),

  proxy_listen: listen('0.0.0.0:8000', { proxied: true }),
  /** What clients reach listeners by, where it is another port: that one by the listener's. */
  port_maps: portMaps(),
  status_listen: listen('127.0.0.1:8100'),
  /** Off unless it is asked for: it costs a third of what a small request does. Kong's default is `logs/access.log`. */
  proxy_access_log: accessLog('off'),
  status_access_log: accessLog('off'),
  /** A format of one's own for these: nginx's `log_format` directive, in Kong's way of setting nginx's directives. */
  nginx_http_log_format: logFormat(),
  stream_listen: streamListen,
  /** Several by comma: one for each type of key. */
  ssl_cert: text(null),
  ssl_cert_key: secret(null),
  /** How clients may speak TLS: a preset, or with `custom` what the settings below it say. */
  ssl_cipher_suite: oneOf(CIPHER_SUITES, 'intermediate'),
  ssl_ciphers: text(null),
  ssl_protocols: spaced('TLSv1.2 TLSv1.3', TLS_VERSIONS),
  ssl_prefer_server_ciphers: onOff('on'),
  /** A group of RFC 7919, a PEM file, or PEM. */
  ssl_dhparam: text(null),
  ssl_session_tickets: onOff('on'),
  ssl_session_timeout: duration('1d', 7 * DAY),
  /** What OCSP responders say of certificates is shown with them. */
  nginx_http_ssl_stapling: onOff('off'),
  /** What is asked of clients' certificates, and what these must chain to: a PEM file, or PEM. */
  nginx_http_ssl_verify_client: oneOf(['off', 'on', 'optional', 'optional_no_ca'], 'off'),
  nginx_http_ssl_client_certificate: text(null),
  /** The same of clients of streams. */
  nginx_stream_ssl_verify_client: oneOf(['off', 'on', 'optional', 'optional_no_ca'], 'off'),
  nginx_stream_ssl_client_certificate: text(null),
  /** How certificates of upstreams are looked at where a service says nothing: at all; by which CAs, a PEM file or PEM; to what depth. */
  nginx_http_proxy_ssl_verify: onOff('off'),
  nginx_http_proxy_ssl_trusted_certificate: text(null),
  nginx_http_proxy_ssl_verify_depth: optionalInteger([0, 64]),
  /** The same of upstreams of streams. */
  nginx_stream_proxy_ssl_verify: onOff('off'),
  nginx_stream_proxy_ssl_trusted_certificate: text(null),
  nginx_stream_proxy_ssl_verify_depth: optionalInteger([0, 64]),
  /** Upstreams of streams are told of their clients by a header of the PROXY protocol. */
  nginx_stream_proxy_protocol: onOff('off'),
  /** The same for the Status API. */
  status_allowed_hosts: hostNames(),
  status_ssl_cert: text(null),
  status_ssl_cert_key: secret(null),
  /** Processes of the data plane; `auto` is one per core. Kong's name for the same thing. */
  nginx_worker_processes: workerCount(),
  /** How long a client may send nothing in the middle of a body; nginx's directive of that name, with its default. */
  nginx_http_client_body_timeout: duration('60s'),
  /** How long a client may take for a request's head, and for a TLS handshake. */
  nginx_http_client_header_timeout: duration('60s'),
  /** How long a client may take none of its answer. */
  nginx_http_send_timeout: duration('60s'),
  /** How long a connection may be idle; `0`: it ends with its first answer. */
  nginx_http_keepalive_timeout: duration('75s', DAY, 0),
  /** Requests of a connection. */
  nginx_http_keepalive_requests: integer(10_000, [1, SECOND_LIMIT]),
  /** How many buffers of which size a request's head may take: a line may not be longer than one, the head not than all. */
  nginx_http_large_client_header_buffers: buffers('4 8k'),
  /** Bytes of a request's body; `0`: as many as come. */
  nginx_http_client_max_body_size: size('0', [0, 2 ** 50]),
  router_flavor: oneOf(['traditional_compatible', 'expressions', 'traditional'], 'traditional_compatible'),
  dns_order: list(
    DNS_ORDER,
    "'LAST', 'SRV', 'A', 'AAAA' and 'CNAME', in any order, with one of addresses",
    parseDnsType,
  ),
  dns_hostsfile: text('/etc/hosts'),
  /** Seconds, in place of the TTLs of records; unset: those. */
  dns_valid_ttl: optionalInteger([1, SECOND_LIMIT]),
  dns_not_found_ttl: integer(30, [1, SECOND_LIMIT]),
  dns_error_ttl: integer(1, [1, SECOND_LIMIT]),
  /** Name servers for services and the targets of upstreams; all else is resolved by the system. */
  dns_resolver: list('', "comma-separated addresses of name servers, with ':port' unless it is 53", parseNameServer),
  /** Paths of PEM files, and `system` for the public CAs: what connections of plugins are verified by. */
  lua_ssl_trusted_certificate: words('system'),
  trusted_ips: list('', 'comma-separated IP addresses and CIDR blocks', parseIpOrCidr),
  real_ip_header: text('X-Real-IP'),
  real_ip_recursive: onOff('off'),
  headers: oneOrMore('server_tokens, latency_tokens, X-Kong-Request-Id', HEADER_TOKENS),
  headers_upstream: oneOrMore('X-Kong-Request-Id', ['X-Kong-Request-Id']),
  allow_debug_header: onOff('off'),
  /** Names of plugins that can be configured and run: `bundled` for all that are part of this project. */
  plugins: words('bundled'),
  /** Folder with plugins of one's own, each a folder of its name. */
  plugins_dir: text(null),
  /** Lua of pre-function, post-function and templates: not at all, with what the sandbox has, or with all there is. */
  untrusted_lua: oneOf(['off', 'sandbox', 'on'], 'sandbox'),
  untrusted_lua_sandbox_requires: words(''),
  untrusted_lua_sandbox_environment: words(''),
  /** Memory of a node for copies of answers; each process has a quarter of it more, for those it gave last. */
  mem_cache_size: size('128m', [1 << 20, 8 * 2 ** 30]),
  /** Requests of which a data plane remembers what they look like, for replays; unset: 1,000, and none on Cloudflare. */
  replay_sample: optionalInteger([0, 10_000]),
  /** Headers whose values it remembers besides those that routes look at. */
  replay_sample_headers: words(''),
  /** Which steps of a request become spans for `opentelemetry`: Kong's names, `all`, or `off`. */
  tracing_instrumentations: tracedSteps(),
  /** Of how many requests, from 0 to 1, where neither a client nor the plugin's config decides. */
  tracing_sampling_rate: share('0.01'),
  error_default_type: oneOf(['text/plain', 'text/html', 'application/json', 'application/xml'], 'text/plain'),
} as const;

export type SettingName = keyof typeof properties;

/** All settings, read and checked. */
export type Settings = { readonly [Name in SettingName]: PropertyValue<(typeof properties)[Name]> } & {
  /** As they were written, those that refer to a vault: what is shown of them. */
  readonly references?: Readonly<Partial<Record<SettingName, string>>>;
};

function tracedSteps() {
  const allowed = `${TRACED_STEPS.map((step) => `'${step}'`).join(', ')}, or 'off' by itself`;
  const steps = list('off', allowed, (step) => TRACED_STEPS.find((known) => known === step));
  const contradicts = (value: string) => value.split(',').length > 1 && /(^|,)\s*off\s*(,|$)/.test(value);
  return { ...steps, parse: (value: string) => (contradicts(value) ? undefined : steps.parse(value)) };
}

function workerCount() {
  return {
    default: 'auto',
    allowed: "'auto' or a whole number from 1 to 256",
    secret: false,
    parse: (value: string): number | 'auto' | undefined =>
      value === 'auto' ? value : integer(1, [1, 256]).parse(value),
  };
}
