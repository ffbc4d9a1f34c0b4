import { withTimeout } from '../read-timeout.ts';
import { failBehind } from './connection-end.ts';
import type { FetchRequest } from './request.ts';
import { encoding } from './response.ts';

type WaitUntil = (work: Promise<unknown>) => void;

/** Bytes of a body the runtime reads to its end by itself. */
const SMALL = 32 << 10;
/** Milliseconds a body is read on for in all, and for each part of it: nginx's `lingering_time` and `lingering_timeout`. */
const IN_ALL = 30_000;
const EACH = 5_000;

/**
 * An answer of the gateway, which is short. All of it is sent at once, but where the client is still sending a body that nobody read its
 * end is held back meanwhile (nginx's `lingering_close`): the connection would otherwise be reset, and a client that sends all
 * before it looks would never see why. `cut`: the connection is to end without that.
 */
export function ownBody(
  response: Response,
  content: string | Uint8Array,
  request: FetchRequest,
  { cut, waitUntil }: { readonly cut: boolean; readonly waitUntil: WaitUntil },
): Response {
  const upload = cut ? null : unreadUpload(request);
  const last = cut || request.isLast;
  const head = request.method === 'HEAD';
  if (!last && (upload === null || head)) return response;
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const { readable, writable } = new FixedLengthStream(bytes.length);
  waitUntil(send(head ? null : bytes, writable, { upload, last }));
  const { status, headers } = response;
  return new Response(readable, { status, headers, encodeBody: encoding(headers) });
}

function unreadUpload({ body, headers }: FetchRequest): ReadableStream<Uint8Array> | null {
  const stream = body?.stream() ?? null;
  if (stream === null || stream.locked) return null;
  const length = headers.has('transfer-encoding') ? null : headers.get('content-length');
  return length === null || Number(length) > SMALL ? stream : null;
}

async function send(
  bytes: Uint8Array | null,
  to: WritableStream<Uint8Array>,
  { upload, last }: { readonly upload: ReadableStream<Uint8Array> | null; readonly last: boolean },
): Promise<void> {
  const writer = to.getWriter();
  try {
    if (bytes !== null) await writer.write(bytes);
    if (upload !== null) await drain(upload);
    writer.releaseLock();
    await (last ? failBehind(to) : to.close());
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
