import { hostname } from 'node:os';
import { resolve } from 'node:path';

import { certificatesOf } from '../../shared/pem.ts';
import { accessLogFile } from '../access-log/access-log.ts';
import { declaredDocument } from '../declarative/declared.ts';
import { FallbackFolder } from '../fallback/folder.ts';
import type { Log } from '../instance/log.ts';
import { loadListenerPair, type TlsListener } from '../listeners/listener-pair.ts';
import { certificatesInUse } from '../pki/certificate-dates.ts';
import { clusterPair } from '../pki/cluster-pair.ts';
import { loadClusterTls, loadTrustedKeys } from '../pki/cluster-tls.ts';
import { PkiError } from '../pki/error.ts';
import { clusterFiles } from '../pki/gen-cert.ts';
import { SHARED_SERVER_NAME } from '../pki/names.ts';
import { readPem, shownPath } from '../pki/pem.ts';
import { loadTrust } from '../pki/trust.ts';
import { parseProxyServer } from '../settings/addresses.ts';
import { clientTls } from '../settings/client-tls.ts';
import { takesLuaPlugins } from '../settings/lua-plugins.ts';
import type { Settings } from '../settings/properties.ts';
import { dataPlaneAddresses, dataPlaneOutput } from './data-plane-addresses.ts';
import type { ChosenPlugins } from './enabled-plugins.ts';

/** Milliseconds between an isolate's questions for newer config: a hop inside the box, off the request's path. */
const NEWS_INTERVAL = 100;

/** What a host needs to run this data plane (`DataPlaneOptions` of edge-dp/hosts), from the settings. */
export async function dataPlaneOptions(
  settings: Settings,
  log: Log,
  plugins: Pick<ChosenPlugins, 'runnable' | 'choice'>,
) {
  const prefix = resolve(settings.prefix);
  const tls = clusterTls(settings);
  const addresses = dataPlaneAddresses(settings);
  const withPair = <Address extends object>(all: readonly Address[], setting: TlsListener) =>
    all.map((address, place) =>
      settings[setting][place]?.tls === true ? { ...address, tls: loadListenerPair(settings, setting) } : address,
    );
  return {
    ...addresses,
    // In one process with a control plane the setting is that one's.
    nodeId: settings.role === 'data_plane' ? settings.node_id : null,
    hostname: hostname(),
    labels: settings.cluster_dp_labels,
    group: settings.cluster_group,
    proxyListen: withPair(addresses.proxyListen, 'proxy_listen'),
    statusListen: withPair(addresses.statusListen, 'status_listen'),
    streamListen: withPair(addresses.streamListen, 'stream_listen'),
    tls: proxyTls(settings),
    http: {
      headTimeout: settings.nginx_http_client_header_timeout,
      sendTimeout: settings.nginx_http_send_timeout,
      idleTimeout: settings.nginx_http_keepalive_timeout,
      requests: settings.nginx_http_keepalive_requests,
      headBuffers: settings.nginx_http_large_client_header_buffers,
    },
    // Without a certificate it stands alone, with its declarative_config.
    controlPlanes: tls === null ? [] : settings.cluster_control_plane,
    forwardProxy: forwardProxy(settings),
    clusterTls: tls,
    telemetry: tls && telemetry(settings, tls.serverName),
    trustedKeys: trustedKeys(settings),
    cacheMode: settings.data_plane_config_cache_mode,
    declarative: await declarative(settings, plugins),
    fallback: settings.cluster_fallback_config_import ? new FallbackFolder(prefix).path : null,
    newsInterval: NEWS_INTERVAL,
    plugins: plugins.choice,
    secrets: {
      variables: {},
      file: settings.vault_env_file === null ? null : resolve(settings.vault_env_file),
      prefix: settings.vault_env_prefix,
    },
    dns: {
      servers: settings.dns_resolver,
      hostsFile: settings.dns_hostsfile,
      validTtl: settings.dns_valid_ttl,
      notFoundTtl: settings.dns_not_found_ttl,
      errorTtl: settings.dns_error_ttl,
    },
    trust: loadTrust(settings),
    proxy: {
      upstreamTls: { http: upstreamTls(settings, 'nginx_http'), stream: upstreamTls(settings, 'nginx_stream') },
      routerFlavor: settings.router_flavor,
      portMaps: settings.port_maps,
      trustedIps: settings.trusted_ips,
      realIpHeader: settings.real_ip_header,
      realIpRecursive: settings.real_ip_recursive,
      headers: settings.headers,
      headersUpstream: settings.headers_upstream,
      allowDebugHeader: settings.allow_debug_header,
      lua: {
        untrusted: settings.untrusted_lua,
        requires: settings.untrusted_lua_sandbox_requires,
        environment: settings.untrusted_lua_sandbox_environment,
        plugins: settings.plugins,
      },
      tracing: {
        instrumentations: settings.tracing_instrumentations,
        samplingRate: settings.tracing_sampling_rate,
      },
      ...(settings.proxy_access_log !== 'off' && { accessLog: accessLogFile(settings.proxy_access_log, settings) }),
      errorDefaultType: settings.error_default_type,
      ...replaySample(settings),
      memCacheSize: settings.mem_cache_size,
      clientBodyTimeout: settings.nginx_http_client_body_timeout,
      maxBodySize: settings.nginx_http_client_max_body_size,
      resolvesServices: settings.dns_resolver.length > 0,
      // CNAMEs are followed for every type.
      dnsOrder: settings.dns_order.filter((type) => type !== 'CNAME'),
    },
    statusAllowedHosts: settings.status_allowed_hosts,
    awaitsConfig: settings.role === 'traditional' && settings.database === 'off',
    // In one process with a control plane, that tells of them.
    certificates: settings.role === 'traditional' ? [] : certificatesInUse(settings),
    ...(settings.status_access_log !== 'off' && {
      statusAccessLog: accessLogFile(settings.status_access_log, settings),
    }),
    ...dataPlaneOutput(log),
  };
}

/** A thousand shapes are a megabyte at most. */
function replaySample({ replay_sample: size, replay_sample_headers: headers }: Settings) {
  return size === 0 ? {} : { replaySample: { size: size ?? 1_000, headers } };
}

function proxyTls(settings: Settings) {
  const { dhparam, ...tls } = clientTls(settings);
  const clients = clientVerification(settings, 'nginx_http');
  const streamClients = clientVerification(settings, 'nginx_stream');
  return {
    ...tls,
    dhparam: dhparam === null || dhparam.startsWith('ffdhe') ? dhparam : readPem(dhparam, 'ssl_dhparam'),
    sessionTickets: settings.ssl_session_tickets,
    sessionTimeout: Math.ceil(settings.ssl_session_timeout / 1000),
    stapling: settings.nginx_http_ssl_stapling,
    ...(clients !== undefined && { clients }),
    ...(streamClients !== undefined && { streamClients }),
  };
}

function upstreamTls(settings: Settings, of: 'nginx_http' | 'nginx_stream') {
  const name = `${of}_proxy_ssl_trusted_certificate` as const;
  const { [`${of}_proxy_ssl_verify` as const]: verify, [`${of}_proxy_ssl_verify_depth` as const]: verifyDepth } =
    settings;
  const { [name]: given } = settings;
  const ca = given === null ? [] : certificatesOf(readPem(given, name));
  if (given !== null && ca.length === 0) throw new PkiError(`${name}: '${shownPath(given)}' holds no certificate`);
  return { verify, verifyDepth, ca };
}

/** Undefined: clients are not asked for certificates. */
function clientVerification(settings: Settings, of: 'nginx_http' | 'nginx_stream') {
  const name = `${of}_ssl_client_certificate` as const;
  const { [`${of}_ssl_verify_client` as const]: mode, [name]: ca } = settings;
  return mode === 'off' ? undefined : { mode, ca: ca === null ? null : readPem(ca, name) };
}

function clusterTls(settings: Settings) {
  const pair = clusterPair(settings);
  if (pair === null) return null;
  const tls = loadClusterTls({ mode: settings.cluster_mtls, ...pair, ca: settings.cluster_ca_cert, end: 'client' });
  const [first] = settings.cluster_control_plane;
  const named = settings.cluster_mtls === 'shared' ? SHARED_SERVER_NAME : (first?.host ?? '');
  return { cert: tls.cert, key: tls.key, ca: tls.ca, serverName: settings.cluster_server_name ?? named };
}

/** In pki mode control planes are known by the name that is expected of the first of them, or that of the telemetry's own. */
function telemetry(settings: Settings, serverName: string) {
  const { cluster_telemetry_endpoint: endpoints, cluster_telemetry_server_name: own } = settings;
  return endpoints.length === 0 ? null : { endpoints, serverName: own ?? serverName };
}

function forwardProxy(settings: Settings) {
  const { cluster_use_proxy: used, proxy_server: given, proxy_server_ssl_verify: verify } = settings;
  const proxy = used && given !== null ? parseProxyServer(given) : undefined;
  if (proxy === undefined) return null;
  const { host, port, tls, credentials } = proxy;
  return {
    host,
    port,
    ...(credentials !== null && { credentials }),
    tls: tls ? { verify, trust: loadTrust(settings) } : null,
  };
}

export function trustedKeys(settings: Settings) {
  const path = settings.bundle_trusted_keys;
  if (path !== null) return loadTrustedKeys(path);
  if (settings.role === 'traditional') return loadTrustedKeys(clusterFiles(resolve(settings.prefix)).trustedKeys);
  return { cluster: null, keys: [] };
}

async function declarative(settings: Settings, { runnable }: Pick<ChosenPlugins, 'runnable'>) {
  // In one process with a control plane it is the control plane that reads it, and the data plane has it signed.
  const declared = settings.role === 'data_plane' ? declaredDocument(settings) : null;
  if (declared === null) return null;
  // What knows of all entities and plugins is read only where there is something to check.
  const [{ parseConfig }, { packConfig }, { catalogOf }, { schemasFor }] = await Promise.all([
    import('../declarative/import.ts'),
    import('../declarative/pack.ts'),
    import('../store/catalog.ts'),
    import('../store/schemas.ts'),
  ]);
  const schemas = schemasFor(settings.router_flavor, await runnable(), takesLuaPlugins(settings));
  return packConfig(await parseConfig(declared.text, catalogOf(schemas).context, schemas.entities));
}
