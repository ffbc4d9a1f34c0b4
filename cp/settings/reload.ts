import { properties, type SettingName, type Settings } from './properties.ts';

/** What a running instance takes anew. The rest (addresses, database, roles, …) holds until the next start. */
const RELOADED: ReadonlySet<SettingName> = new Set([
  'log_level',
  'cluster_cert',
  'cluster_cert_key',
  'cluster_ca_cert',
  'cluster_ocsp',
  'cluster_server_name',
  'cluster_dp_labels',
  'proxy_server',
  'proxy_server_ssl_verify',
  'admin_ssl_cert',
  'admin_ssl_cert_key',
  'admin_gui_ssl_cert',
  'admin_gui_ssl_cert_key',
  'ssl_cert',
  'ssl_cert_key',
  'ssl_cipher_suite',
  'ssl_ciphers',
  'ssl_protocols',
  'ssl_prefer_server_ciphers',
  'ssl_dhparam',
  'ssl_session_tickets',
  'ssl_session_timeout',
  'nginx_http_ssl_stapling',
  'nginx_http_ssl_verify_client',
  'nginx_http_ssl_client_certificate',
  'nginx_http_client_body_timeout',
  'nginx_http_client_header_timeout',
  'nginx_http_send_timeout',
  'nginx_http_keepalive_timeout',
  'nginx_http_keepalive_requests',
  'nginx_http_large_client_header_buffers',
  'nginx_http_client_max_body_size',
  'status_ssl_cert',
  'status_ssl_cert_key',
  'bundle_signing_key',
  'bundle_introduced_keys',
  'bundle_trusted_keys',
  'declarative_config',
  'vault_env_prefix',
  'vault_env_file',
  'trusted_ips',
  'real_ip_header',
  'real_ip_recursive',
  'headers',
  'headers_upstream',
  'allow_debug_header',
  'untrusted_lua',
  'untrusted_lua_sandbox_requires',
  'untrusted_lua_sandbox_environment',
  'tracing_instrumentations',
  'tracing_sampling_rate',
  'error_default_type',
  'proxy_access_log',
  'status_access_log',
  'nginx_http_log_format',
]);

/** The settings of a running instance after a reload: `fresh` where that can be, and the names of those that cannot. */
export function reloadedSettings(
  running: Settings,
  fresh: Settings,
): { readonly settings: Settings; readonly unchanged: readonly SettingName[] } {
  const names = Object.keys(properties).filter((name): name is SettingName => name in properties);
  const kept = names.filter((name) => !RELOADED.has(name));
  return {
    settings: { ...fresh, ...Object.fromEntries(kept.map((name) => [name, running[name]])) },
    unchanged: kept.filter((name) => JSON.stringify(running[name]) !== JSON.stringify(fresh[name])),
  };
}
