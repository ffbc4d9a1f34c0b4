/**
 * Whether a client's header (name in lower case) would be taken for the word of somebody else: `MF-*` by Miniflare, `CF-*` by
 * those who believe Cloudflare, `X-Holdfast-*` by the gateway's own parts, and by CGI-like servers (RFC 3875 section 4.1.18), to
 * which `-` and `_` are one, any other spelling of what the gateway tells the upstream. `trusted`: the peer is one of `trusted_ips`.
 */
export function isImpostor(name: string, trusted: boolean): boolean {
  if (isReserved(name, trusted)) return true;
  if (PLAIN.test(name)) return false;
  const twin = name.replace(/[^a-z0-9]/g, '-');
  return VOUCHED_FOR.has(twin) || VOUCHED_PREFIX.test(twin) || isReserved(twin, trusted);
}

function isReserved(name: string, trusted: boolean): boolean {
  return name.startsWith('x-holdfast-') || name.startsWith('mf-') || (!trusted && name.startsWith('cf-'));
}

/** A name that is nobody's twin. */
const PLAIN = /^[a-z0-9-]*$/;

/** What the gateway and its plugins say about the client and its request, and what frames it. */
const VOUCHED_PREFIX = /^x-(?:consumer|credential|authenticated|forwarded|kong|ratelimit)-/;
const VOUCHED_FOR: ReadonlySet<string> = new Set([
  'x-anonymous-consumer',
  'x-real-ip',
  'content-length',
  'transfer-encoding',
  'proxy-connection',
]);
