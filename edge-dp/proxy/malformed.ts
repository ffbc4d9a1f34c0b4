import type { IncomingRequest } from '../http/messages.ts';

/**
 * What the runtime lets through though RFC 9112 and nginx do not: both Content-Length and Transfer-Encoding, a transfer coding
 * other than a single `chunked`, several Content-Lengths (section 6), a Host that is no authority, a fragment in the target
 * (section 3.2). Whoever sends these wants two servers to see two requests. Null when there is nothing wrong.
 */
export function malformed({ target, headers }: Pick<IncomingRequest, 'target' | 'headers'>): string | null {
  if (target.includes('#')) return 'Bad request';
  const length = headers.get('content-length');
  const coding = headers.get('transfer-encoding');
  if (coding !== null && (length !== null || coding.trim().toLowerCase() !== 'chunked')) return 'Bad request';
  if (length !== null && !(/^\d+$/.test(length) && Number.isSafeInteger(Number(length)))) return 'Bad request';
  const host = headers.get('host');
  if (host !== null && !isAuthority(host)) return 'Bad request';
  return null;
}

/** `host[:port]` (RFC 3986 section 3.2) without user. An empty port is none; whether the name is one is not looked at. */
function isAuthority(host: string): boolean {
  const match = /^(?:\[[\da-f:.]+\]|[^\s,/@?#\\:[\]]+)(?::(\d{0,5}))?$/i.exec(host);
  return match !== null && Number(match[1] ?? 0) <= 65_535;
}
