import type { ProxySettings } from '../../edge-dp/settings.ts';

/** What `holdfast start` hands a node when nothing is set. */
export const PROXY_SETTINGS: Omit<ProxySettings, 'ports'> = {
  routerFlavor: 'traditional_compatible',
  trustedIps: [],
  realIpHeader: 'X-Real-IP',
  realIpRecursive: false,
  headers: ['server_tokens', 'latency_tokens', 'X-Kong-Request-Id'],
  headersUpstream: ['X-Kong-Request-Id'],
  allowDebugHeader: false,
  errorDefaultType: 'text/plain',
  clientBodyTimeout: 60_000,
};
