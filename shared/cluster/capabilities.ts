/**
 * What a data plane's runtime may or may not be able to do. A data plane lists what it can in its hello; the control
 * plane compares that with what the config asks for and names every entity the node cannot honour.
 */
export const CAPABILITIES = {
  upstream_host: 'a Host header other than the name connected to (`preserve_host`, `host_header`)',
  upstream_ca: 'upstream certificates of a private CA (`ca_certificates`)',
  upstream_client_certificate: 'a client certificate shown to the upstream (`client_certificate`)',
  upstream_tls_verify_off: 'upstream certificates taken unchecked (`tls_verify: false`)',
  upstream_tls_verify_depth: 'a limit on the length of the upstream certificate chain (`tls_verify_depth`)',
  upstream_http2: 'HTTP/2 to the upstream (`grpc`, `grpcs`)',
  dns_records: 'DNS records with their TTL (targets by name, SRV)',
  client_address: 'the address of the connected client (`ip-restriction`, `sources`, `net.src.*`)',
  destination_address: 'the address clients connected to (`net.dst.ip`)',
  edge_cache: "the cache of Cloudflare's data centers (`strategy: edge` of `proxy-cache`)",
  edge_fields: "what Cloudflare's network knows of clients (`edge.*`)",
  lua: "Lua that comes with the config (`custom_plugins`, `pre-function`): `untrusted_lua` is not 'off'",
  consumer_groups: 'plugins of consumer groups (`consumer_group`)',
  vault_references: 'references to vaults (`{vault://…}`)',
  traffic_split: 'two configs at a time, between which requests are split (`traffic` of releases)',
  inbound_http2: 'HTTP/2 and gRPC from clients (`http2` of `proxy_listen`)',
  inbound_client_certificate: 'client certificates asked of clients',
  inbound_sni: 'the server name clients ask for (`snis`, `tls.sni`, certificates of `acme`)',
  tls_handshake: 'plugins where the TLS of clients begins (phase `certificate`)',
  stream: 'TCP, TLS and UDP listeners',
  udp: 'UDP sent by plugins (`udp-log`, `statsd`, `datadog`, `loggly`)',
  files: 'files that plugins write (`file-log`)',
  syslog: "the machine's syslog (`syslog`)",
  tls_unverified: 'connections of plugins whose certificate is taken unchecked (`ssl_verify: false` and the like)',
  http_proxy: 'HTTP proxies for requests of plugins (`proxy_url` and the like)',
} as const;

export type Capability = keyof typeof CAPABILITIES;
