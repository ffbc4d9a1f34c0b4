/**
 * Framing the runtime lets through though RFC 9112 section 6 and nginx do not: both Content-Length and
 * Transfer-Encoding, a transfer coding other than a single `chunked`, several Content-Lengths. Whoever sends these wants two
 * servers to disagree about where a request ends. Null when there is nothing wrong.
 */
export function malformed(headers: Headers): string | null {
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

/**
 * An answer after which the connection ends (RFC 9112 section 6.1), so that nothing after a request whose end is in doubt, or
 * does not come, is taken for another. Workers have no word for that: the runtime closes when a body fails that has been sent.
 */
export async function closing(response: Response, waitUntil: (work: Promise<unknown>) => void): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const { readable, writable } = new FixedLengthStream(bytes.length);
  const writer = writable.getWriter();
  waitUntil(
    writer
      .write(bytes)
      .then(() => writer.abort(new Error(CLOSING)))
      .catch(() => undefined),
  );
  return new Response(readable, response);
}

/** The runtime logs the failure with this text. */
const CLOSING = 'the connection of a malformed or unfinished request is closed';
