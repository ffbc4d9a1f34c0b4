import type { Capability } from './capabilities.ts';

/** What a data plane runs on. */
export const HOST_KINDS = ['workerd', 'node', 'miniflare', 'cloudflare'] as const;

export type HostKind = (typeof HOST_KINDS)[number];

/**
 * What a data plane can do on each kind of host. workerd has an egress process beside it; Cloudflare's list is repeated
 * in `wrangler.toml`, which the Worker takes its settings from there.
 */
export const HOST_CAPABILITIES: Readonly<Record<HostKind, readonly Capability[]>> = {
  workerd: [
    'upstream_host',
    'upstream_ca',
    'upstream_client_certificate',
    'upstream_tls_verify_off',
    'upstream_tls_verify_depth',
    'upstream_http2',
    'dns_records',
    'client_address',
    'consumer_groups',
    'udp',
    'files',
    'syslog',
    'tls_unverified',
    'http_proxy',
    'vault_references',
    'traffic_split',
    'lua',
  ],
  node: [
    'upstream_host',
    'upstream_ca',
    'upstream_client_certificate',
    'upstream_tls_verify_off',
    'upstream_tls_verify_depth',
    'upstream_http2',
    'dns_records',
    'client_address',
    'destination_address',
    'inbound_client_certificate',
    'inbound_http2',
    'inbound_sni',
    'tls_handshake',
    'stream',
    'consumer_groups',
    'udp',
    'files',
    'syslog',
    'tls_unverified',
    'http_proxy',
    'vault_references',
    'traffic_split',
    'lua',
  ],
  miniflare: [
    'upstream_host',
    'edge_cache',
    'consumer_groups',
    'udp',
    'files',
    'syslog',
    'tls_unverified',
    'http_proxy',
    'vault_references',
    'traffic_split',
    'lua',
  ],
  cloudflare: [
    'upstream_host',
    'client_address',
    'edge_cache',
    'edge_fields',
    'consumer_groups',
    'vault_references',
    'traffic_split',
    'lua',
  ],
};
