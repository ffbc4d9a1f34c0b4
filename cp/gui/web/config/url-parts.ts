/** Ports of protocols that have one of their own. */
const PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, grpc: 80, grpcs: 443 };

/** What a service has of an address; null while it is none. */
export function partsOfUrl(text: string): { protocol: string; host: string; port: number; path: string | null } | null {
  const [, protocol = '', rest = ''] = /^\s*([a-z_]+):\/\/(\S+?)\s*$/i.exec(text) ?? [];
  const scheme = protocol.toLowerCase();
  if (!['http', 'https', 'grpc', 'grpcs', 'tcp', 'tls', 'udp', 'tls_passthrough'].includes(scheme)) return null;
  const whole = `http://${rest}`;
  if (!URL.canParse(whole)) return null;
  const { hostname, port, pathname } = new URL(whole);
  const at = port === '' ? (/^[^/?#]*:0*80(?:[/?#]|$)/.test(rest) ? 80 : PORTS[scheme]) : Number(port);
  if (hostname === '' || at === undefined) return null;
  const takesPath = scheme === 'http' || scheme === 'https';
  return { protocol: scheme, host: hostname, port: at, path: takesPath && pathname !== '/' ? pathname : null };
}
