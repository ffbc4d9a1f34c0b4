import { existsSync } from 'node:fs';
import { KNOWN_FORMATS } from '../../shared/access-log/format.ts';
import { isLoopback } from '../../shared/browser-guard.ts';
import { isRecord } from '../../shared/record.ts';
import { formatNamed } from './access-log.ts';
import { formatAddress, parseProxyServer } from './addresses.ts';
import { cipherProblem } from './client-tls.ts';
import { properties, type SettingName, type Settings } from './properties.ts';
import type { Property } from './property.ts';

type Origins = ReadonlyMap<SettingName, string>;

/** What must hold between settings; one sentence for each rule that does not, naming the settings and where they are set. */
export function checkTogether(settings: Settings, origins: Origins): string[] {
  const say = (name: SettingName) => `${name} = '${settings[name] ?? ''}' (${origins.get(name) ?? 'default'})`;
  return [
    ...roleProblems(settings, origins, say),
    ...pairProblems(settings, say),
    ...tlsProblems(settings, say),
    ...clusterProblems(settings, origins, say),
    ...logProblems(settings, origins),
  ];
}

function logProblems(settings: Settings, origins: Origins): string[] {
  const own = settings.nginx_http_log_format;
  return ACCESS_LOGS.flatMap((name) => {
    const target = settings[name];
    if (target === 'off' || formatNamed(target.format, own) !== null) return [];
    const known = [...Object.keys(KNOWN_FORMATS), ...(own === null ? [] : [own.name])].map((one) => `'${one}'`);
    const where = origins.get(name) ?? 'default';
    return [
      `${name} (${where}): there is no log format '${target.format}'; known: ${known.join(', ')}; nginx_http_log_format defines another`,
    ];
  });
}

const ACCESS_LOGS = ['proxy_access_log', 'status_access_log', 'admin_access_log'] as const;

/** A setting with its value and where that comes from. */
type Say = (name: SettingName) => string;

function roleProblems(settings: Settings, origins: Origins, say: Say): string[] {
  const problems: string[] = [];
  const { role } = settings;

  if (role === 'data_plane' && settings.database !== 'off' && origins.has('database')) {
    problems.push(`${say('database')} does not go with role 'data_plane': a data plane has no database; use 'off'`);
  }
  if (role === 'control_plane' && settings.database === 'off') {
    problems.push(`${say('database')} does not go with role '${role}'; allowed: 'embedded', 'postgres'`);
  }
  const declared = settings.declarative_config !== null || settings.declarative_config_string !== null;
  if (role !== 'data_plane' && settings.database !== 'off' && declared) {
    const name = settings.declarative_config === null ? 'declarative_config_string' : say('declarative_config');
    problems.push(
      `${name} is for role 'data_plane' and for database = off; load it with 'holdfast config import' instead`,
    );
  }
  if (role === 'data_plane') {
    if (settings.cluster_control_plane.length === 0 && !declared) {
      problems.push(`${say('cluster_control_plane')}: a data plane needs a control plane or a declarative_config`);
    }
    // With a declarative_config and no certificate the node stands alone, as Kong without a database.
    const alone = declared && settings.cluster_cert === null;
    if (!alone && settings.cluster_cert === null) {
      problems.push(
        `cluster_cert and cluster_cert_key are needed by role 'data_plane': see 'holdfast hybrid gen_cert'`,
      );
    }
    if (!alone && settings.bundle_trusted_keys === null) {
      problems.push(
        `bundle_trusted_keys is needed by role 'data_plane': the bundle-keys.json of 'holdfast hybrid gen_cert'`,
      );
    }
    if (settings.proxy_listen.length === 0) problems.push(`${say('proxy_listen')}: a data plane must listen somewhere`);
  }
  if (role === 'control_plane') {
    if (settings.cluster_cert === null) {
      problems.push(
        `cluster_cert and cluster_cert_key are needed by role 'control_plane': see 'holdfast hybrid gen_cert'`,
      );
    }
    const from = (name: SettingName) => `${name} (${origins.get(name) ?? 'default'})`;
    if (settings.admin_listen.length === 0)
      problems.push(`${from('admin_listen')}: a control plane must have its Admin API somewhere`);
    if (settings.cluster_listen.length === 0 && settings.cluster_dev_listen.length === 0)
      problems.push(`${from('cluster_listen')}: a control plane must listen for data planes somewhere`);
    if (Object.keys(settings.cluster_dp_labels).length > 0)
      problems.push(`${from('cluster_dp_labels')} is for data planes: a control plane has no labels`);
    if (settings.bundle_signing_key === null) {
      problems.push(
        `bundle_signing_key is needed by role 'control_plane': the bundle-signing.key of 'holdfast hybrid gen_cert'`,
      );
    }
  }
  if (
    role !== 'control_plane' &&
    settings.data_plane_host !== 'node' &&
    settings.proxy_listen.some(({ proxyProtocol }) => proxyProtocol)
  ) {
    const where = `proxy_listen (${origins.get('proxy_listen') ?? 'default'})`;
    problems.push(`${where}: 'proxy_protocol' is not supported by workerd; set data_plane_host = node`);
  }
  if (origins.has('dns_hostsfile') && !existsSync(settings.dns_hostsfile)) {
    problems.push(`${say('dns_hostsfile')}: there is no such file`);
  }
  if (settings.dns_order.every((type) => type === 'LAST' || type === 'CNAME')) {
    problems.push(`${say('dns_order')} finds no address: list 'A', 'AAAA' or 'SRV'`);
  }
  return problems;
}

type PairOfListener = keyof typeof LISTENER_PAIRS;

/** Which pair is shown where, in the listeners that have `ssl`. */
export const LISTENER_PAIRS = {
  ssl_cert: ['proxy_listen', 'stream_listen'],
  status_ssl_cert: ['status_listen'],
  admin_ssl_cert: ['admin_listen'],
  admin_gui_ssl_cert: ['admin_gui_listen'],
} as const;

/** Whether one half of a pair is set, and the other is not. */
function isHalf(settings: Settings, cert: PairOfListener | 'cluster_cert' | 'cluster_server_cert'): boolean {
  return (settings[cert] === null) !== (settings[`${cert}_key`] === null);
}

/** Whether no listener would show it; as in Kong, it is not looked at then. */
function isIdle(settings: Settings, cert: PairOfListener | 'cluster_cert' | 'cluster_server_cert'): boolean {
  if (cert === 'cluster_cert' || cert === 'cluster_server_cert') return false;
  return !LISTENER_PAIRS[cert].some((listener) => settings[listener].some(({ tls }) => tls));
}

function pairProblems(settings: Settings, say: Say): string[] {
  const problems: string[] = [];
  for (const [cert, key] of [
    ['cluster_cert', 'cluster_cert_key'],
    ['cluster_server_cert', 'cluster_server_cert_key'],
    ['ssl_cert', 'ssl_cert_key'],
    ['status_ssl_cert', 'status_ssl_cert_key'],
    ['admin_ssl_cert', 'admin_ssl_cert_key'],
    ['admin_gui_ssl_cert', 'admin_gui_ssl_cert_key'],
  ] as const) {
    if (isHalf(settings, cert) && !isIdle(settings, cert)) {
      problems.push(`${cert} and ${key} go together: set both or neither`);
    }
    const several = settings[cert]?.includes(',') && !settings[cert].includes('-----BEGIN ');
    if (cert !== 'ssl_cert' && several) {
      problems.push(`${say(cert)}: Holdfast shows one certificate on this listener; name one file, not a list`);
    }
  }
  const { ssl_cert: certs, ssl_cert_key: keys } = settings;
  if (certs !== null && keys !== null && listed(certs).length !== listed(keys).length) {
    problems.push('ssl_cert and ssl_cert_key must have equally many entries, in the same order');
  }
  return problems;
}

/** The items of a setting that may be a list of files or PEM. */
export function listed(value: string | null): readonly string[] {
  return value === null ? [] : value.split(',').map((item) => item.trim());
}

function tlsProblems(settings: Settings, say: Say): string[] {
  const cipher = cipherProblem(settings);
  const problems = cipher === null ? [] : [`${say('ssl_ciphers')}: ${cipher}`];
  for (const [verify, ca] of [
    ['nginx_http_ssl_verify_client', 'nginx_http_ssl_client_certificate'],
    ['nginx_stream_ssl_verify_client', 'nginx_stream_ssl_client_certificate'],
  ] as const) {
    const asks = settings[verify] === 'on' || settings[verify] === 'optional';
    if (asks && settings[ca] === null) problems.push(`${say(verify)} needs ${ca}: the CAs of clients`);
  }
  return problems;
}

/** Settings that are set and change nothing as others stand; one sentence for each. */
export function idleSettings(settings: Settings, origins: Origins): string[] {
  const { ssl_cipher_suite: suite, data_plane_host: host, role } = settings;
  const said: string[] = [];
  const isSet = (name: SettingName): boolean => {
    const { default: initial, parse }: Property<unknown> = properties[name];
    const usual = initial === null ? null : parse(initial);
    return origins.has(name) && JSON.stringify(settings[name]) !== JSON.stringify(usual);
  };
  const { admin_listen: admin, admin_gui_listen: ui, admin_gui_api_url: elsewhere } = settings;
  if (role !== 'data_plane' && admin.length === 0 && ui.length > 0 && elsewhere === null) {
    said.push('admin_gui_listen serves a web UI that can do nothing: the Admin API listens nowhere (admin_listen)');
  }
  for (const cert of Object.keys(LISTENER_PAIRS) as PairOfListener[]) {
    if (!isHalf(settings, cert) || !isIdle(settings, cert)) continue;
    const set = settings[cert] === null ? `${cert}_key` : cert;
    said.push(`${set} has no effect: no address of ${LISTENER_PAIRS[cert].join(' and ')} has 'ssl'`);
  }
  for (const name of suite === 'custom' ? [] : CUSTOM_TLS) {
    const taken = name === 'ssl_dhparam' && (suite === 'old' || suite === 'fips');
    if (isSet(name) && !taken) said.push(`${name} has no effect: ssl_cipher_suite is '${suite}'`);
  }
  for (const name of host === 'node' || role === 'control_plane' ? [] : ON_NODE) {
    if (isSet(name)) said.push(`${name} has no effect: data_plane_host is '${host}'; it needs 'node'`);
  }
  return said;
}

const CUSTOM_TLS = ['ssl_ciphers', 'ssl_protocols', 'ssl_prefer_server_ciphers', 'ssl_dhparam'] as const;
const ON_NODE = [
  'ssl_cipher_suite',
  'ssl_session_tickets',
  'ssl_session_timeout',
  'nginx_http_ssl_stapling',
  'nginx_http_ssl_verify_client',
  'nginx_http_ssl_client_certificate',
  'nginx_stream_ssl_verify_client',
  'nginx_stream_ssl_client_certificate',
  'nginx_stream_proxy_protocol',
  'nginx_http_client_header_timeout',
  'nginx_http_send_timeout',
  'nginx_http_keepalive_timeout',
  'nginx_http_keepalive_requests',
  'nginx_http_large_client_header_buffers',
] as const;

function fallbackProblems(settings: Settings, say: Say): string[] {
  const problems: string[] = [];
  const { cluster_fallback_config_storage: storage, cluster_fallback_export_s3_config: s3, role } = settings;
  for (const [setting, plane] of [
    ['cluster_fallback_config_export', 'control_plane'],
    ['cluster_fallback_config_import', 'data_plane'],
  ] as const) {
    if (!settings[setting]) continue;
    if (storage === null) problems.push(`${say(setting)} needs cluster_fallback_config_storage`);
    if (role !== plane) problems.push(`${say(setting)} is for role '${plane}'`);
  }
  if (s3 !== null && !isJsonObject(s3))
    problems.push(`${say('cluster_fallback_export_s3_config')}: expected a JSON object`);
  return problems;
}

function isJsonObject(text: string): boolean {
  try {
    return isRecord(JSON.parse(text));
  } catch {
    return false;
  }
}

/** Nobody who links there shows a certificate, and nothing is encrypted. */
function developmentProblems({ cluster_dev_listen: addresses, role }: Settings, origins: Origins): string[] {
  const where = `cluster_dev_listen (${origins.get('cluster_dev_listen') ?? 'default'})`;
  if (addresses.length > 0 && role === 'data_plane') return [`${where} is for roles 'control_plane' and 'traditional'`];
  return addresses.flatMap((address) => {
    if (!isLoopback(address.host)) {
      return [
        `${where}: ${formatAddress(address)} is no loopback address; the development link has neither TLS nor certificates, so it is ` +
          "'127.0.0.1:8007' or '[::1]:8007'; data planes elsewhere link at cluster_listen",
      ];
    }
    if (address.tls || address.http2) return [`${where}: the development link takes neither 'ssl' nor 'http2'`];
    return [];
  });
}

function clusterProblems(settings: Settings, origins: Origins, say: Say): string[] {
  const problems: string[] = [];
  problems.push(...fallbackProblems(settings, say), ...developmentProblems(settings, origins));
  if (settings.cluster_use_proxy && settings.role === 'control_plane') {
    problems.push(`${say('cluster_use_proxy')} is for data planes: a control plane reaches none of them`);
  } else if (settings.cluster_use_proxy && settings.proxy_server === null) {
    problems.push(`${say('cluster_use_proxy')} needs proxy_server: the URL of the proxy`);
  }
  if (settings.proxy_server !== null && parseProxyServer(settings.proxy_server) === undefined) {
    problems.push(
      "proxy_server: expected 'http://' or 'https://', perhaps 'user:password@', a host, and perhaps a port; what is special " +
        "in user and password percent-encoded ('%40' for '@')",
    );
  }
  if (settings.cluster_mtls === 'pki') {
    if (settings.cluster_cert === null) problems.push(`${say('cluster_mtls')} needs cluster_cert and cluster_cert_key`);
    if (settings.cluster_ca_cert === null) problems.push(`${say('cluster_mtls')} needs cluster_ca_cert`);
  } else if (settings.cluster_ocsp !== 'off') {
    problems.push(`${say('cluster_ocsp')} needs cluster_mtls = 'pki': in 'shared' mode there is no issuer to ask`);
  }
  return problems;
}
