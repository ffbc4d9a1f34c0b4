/** What is looked at of a request. */
interface Head {
  readonly target: string;
  readonly headers: { get(name: string): string | null };
}

/**
 * Whether a request is one of those that the runtime lets through though RFC 9112 and nginx do not: both Content-Length and
 * Transfer-Encoding, a transfer coding other than a single `chunked`, several Content-Lengths (section 6), a Host that is no
 * authority, a fragment or a control character in the target (section 3.2), an escape in the path that is none or stands for NUL. Whoever sends these
 * wants two servers to see two requests. And one of which the runtime cannot tell: bytes that are no UTF-8 reach a Worker as
 * U+FFFD, and would reach the upstream as another target.
 */
export function isMalformed({ target, headers }: Head): boolean {
  if (UNFIT.test(target)) return true;
  if (target.includes('%') && BROKEN_ESCAPE.test(target)) return true;
  const length = headers.get('content-length');
  const coding = headers.get('transfer-encoding');
  if (coding !== null && (length !== null || coding.trim().toLowerCase() !== 'chunked')) return true;
  if (length !== null && !(/^\d+$/.test(length) && Number.isSafeInteger(Number(length)))) return true;
  const host = headers.get('host');
  return host !== null && !isAuthority(host);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what no request line may have.
const UNFIT = /[\x00-\x20\x7f#\ufffd]/;
/** Before the query, in which `%` may be anything. */
const BROKEN_ESCAPE = /^[^?]*%(?:00|(?![\da-f]{2}))/i;

/** `host[:port]` (RFC 3986 section 3.2) without user. An empty port is none; whether the name is one is not looked at. */
function isAuthority(host: string): boolean {
  if (!AUTHORITY.test(host)) return false;
  const colon = host.lastIndexOf(':');
  return colon <= host.lastIndexOf(']') || Number(host.slice(colon + 1)) <= 65_535;
}

const AUTHORITY = /^(?:\[[\da-f:.]+\]|[^\s,/@?#\\:[\]]+)(?::\d{0,5})?$/i;
