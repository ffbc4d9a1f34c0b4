import type { EndListener, ResponseEnd } from '../messages.ts';
import { failBehind } from './connection-end.ts';
import { encoding } from './response.ts';

interface Following {
  readonly listeners: readonly EndListener[];
  /** The body came out of one of the runtime's transform streams, which it cannot pipe into another: that is moved by hand. */
  readonly made: boolean;
  /** The client's connection ends with the response. */
  readonly last: boolean;
  /** It answers a HEAD: what it says of its length is not of its own body. */
  readonly head: boolean;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/**
 * A response that tells its listeners when its body has been passed on or given up, and ends the connection if it is the last. A WebSocket
 * cannot be followed without reading its messages, and what has no body has nothing to follow: those end at once.
 */
export function followed(response: Response, { listeners, made, last, head, waitUntil }: Following): Response {
  const ended = (end: ResponseEnd): void => {
    for (const listener of listeners) listener(end);
  };
  const { body, headers, status, statusText } = response;
  const bare = status === 204 || status === 205 || status === 304;
  if (response.webSocket !== null || bare || (!last && (body === null || head))) {
    if (listeners.length > 0) waitUntil(Promise.resolve().then(() => ended({ aborted: false })));
    return response;
  }
  const length = Number(headers.get('content-length') ?? (body === null ? 0 : Number.NaN));
  const through = Number.isInteger(length) ? new FixedLengthStream(length) : new IdentityTransformStream();
  const sent = send(head ? null : body, through.writable, { made, last });
  waitUntil(
    sent.then(
      () => ended({ aborted: false }),
      () => ended({ aborted: true }),
    ),
  );
  return new Response(through.readable, { status, statusText, headers, encodeBody: encoding(headers) });
}

async function send(
  body: ReadableStream<Uint8Array> | null,
  to: WritableStream<Uint8Array>,
  { made, last }: Pick<Following, 'made' | 'last'>,
): Promise<void> {
  if (body !== null) await (made ? move(body, to) : body.pipeTo(to, { preventClose: true }));
  await (last ? failBehind(to) : to.close());
}

/** Without closing what it writes to. */
async function move(from: ReadableStream<Uint8Array>, to: WritableStream<Uint8Array>): Promise<void> {
  const reader = from.getReader();
  const writer = to.getWriter();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) await writer.write(part.value);
  } catch (error) {
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
    throw error;
  }
  writer.releaseLock();
}
