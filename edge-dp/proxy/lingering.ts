import { malformed } from './malformed.ts';
import { withTimeout } from './read-timeout.ts';
import type { ProxyContext } from './request-context.ts';

/** Bytes of a body the runtime reads to its end by itself. */
const SMALL = 32 << 10;
/** Milliseconds a body is read on for in all, and for each part of it: nginx's `lingering_time` and `lingering_timeout`. */
const IN_ALL = 30_000;
const EACH = 5_000;

/**
 * An answer of the gateway to a request whose body it did not read. All of it is sent at once, but its end is held back
 * while the client goes on sending (nginx's `lingering_close`): the connection would otherwise be reset, and a client that
 * sends all before it looks would never see why.
 */
export async function lingering(response: Response, context: ProxyContext): Promise<Response> {
  const { incoming, body } = context;
  const { current } = body;
  const unread = current.kind === 'incoming' && (current.length === null || current.length > SMALL);
  const upload = incoming.body;
  // Where the end of a request is in doubt the connection is closed instead.
  if (malformed(incoming.headers) !== null) return response;
  if (!unread || upload === null || upload.locked || incoming.method === 'HEAD' || response.body === null)
    return response;
  const bytes = new Uint8Array(await response.arrayBuffer());
  const { readable, writable } = new FixedLengthStream(bytes.length);
  context.waitUntil(send(bytes, writable, upload));
  return new Response(readable, response);
}

async function send(
  bytes: Uint8Array,
  to: WritableStream<Uint8Array>,
  upload: ReadableStream<Uint8Array>,
): Promise<void> {
  const writer = to.getWriter();
  try {
    await writer.write(bytes);
    await drain(upload);
    await writer.close();
  } catch {
    // The client is gone.
  }
}

async function drain(upload: ReadableStream<Uint8Array>): Promise<void> {
  const reader = upload.getReader();
  const until = Date.now() + IN_ALL;
  try {
    while (Date.now() < until) if ((await withTimeout(reader.read(), EACH)).done) return;
  } catch {
    // It broke off, or nothing came for long enough.
  }
  await reader.cancel().catch(() => undefined);
}
