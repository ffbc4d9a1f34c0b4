/**
 * Framing the runtime lets through though RFC 9112 section 6 and nginx do not: both Content-Length and
 * Transfer-Encoding, a transfer coding other than a single `chunked`, several Content-Lengths. Whoever sends these wants two
 * servers to disagree about where a request ends. Null when there is nothing wrong.
 */
export function malformed(headers: Headers): string | null {
  const length = headers.get('content-length');
  const coding = headers.get('transfer-encoding');
  if (coding !== null && (length !== null || coding.trim().toLowerCase() !== 'chunked')) return 'Bad request';
  if (length !== null && !/^\d+$/.test(length)) return 'Bad request';
  const host = headers.get('host');
  if (host !== null && /[\s,/@?#\\]/.test(host)) return 'Bad request';
  return null;
}
