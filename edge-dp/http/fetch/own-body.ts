import { withTimeout } from '../read-timeout.ts';
import type { FetchRequest } from './request.ts';

type WaitUntil = (work: Promise<unknown>) => void;

/**
 * An answer after which the connection ends (RFC 9112 section 6.1), so that nothing after a request whose end is in doubt, or
 * does not come, is taken for another. Workers have no word for that: the runtime closes when a body fails that has been sent.
 */
export function closing(response: Response, content: string | Uint8Array, waitUntil: WaitUntil): Response {
  const bytes = bytesOf(content);
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
export function lingering(
  response: Response,
  content: string | Uint8Array,
  { native, method, headers }: FetchRequest,
  waitUntil: WaitUntil,
): Response {
  const upload = native.body;
  const length = headers.has('transfer-encoding') ? null : headers.get('content-length');
  const long = length === null || Number(length) > SMALL;
  if (upload === null || upload.locked || !long || method === 'HEAD') return response;
  const bytes = bytesOf(content);
  const { readable, writable } = new FixedLengthStream(bytes.length);
  waitUntil(send(bytes, writable, upload));
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

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}
