import type { Capability } from '../../../shared/cluster/capabilities.ts';

/** What a data plane can do on workerd with the egress process beside it. */
export const WORKERD_CAPABILITIES: readonly Capability[] = [
  'upstream_host',
  'upstream_ca',
  'upstream_client_certificate',
  'upstream_tls_verify_off',
  'upstream_tls_verify_depth',
  'upstream_http2',
  'dns_records',
  'client_address',
];
