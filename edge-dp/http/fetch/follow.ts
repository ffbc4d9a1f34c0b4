import type { EndListener, ResponseEnd } from '../messages.ts';

/**
 * A response that tells its listeners when its body has been passed on or given up. A compressed body cannot be followed
 * without being decompressed by the runtime, and a WebSocket not without reading its messages: those end at once.
 */
export function followed(
  response: Response,
  { encoded, made }: { readonly encoded: boolean; readonly made: boolean },
  listeners: readonly EndListener[],
  waitUntil: (work: Promise<unknown>) => void,
): Response {
  const ended = (end: ResponseEnd): void => {
    for (const listener of listeners) listener(end);
  };
  const { body, headers, status, statusText } = response;
  if (body === null || response.webSocket !== null || (headers.has('content-encoding') && !encoded)) {
    waitUntil(Promise.resolve().then(() => ended({ aborted: false })));
    return response;
  }
  const length = Number(headers.get('content-length') ?? Number.NaN);
  const through = Number.isInteger(length) ? new FixedLengthStream(length) : new IdentityTransformStream();
  const moved = made ? move(body, through.writable) : body.pipeTo(through.writable);
  waitUntil(
    moved.then(
      () => ended({ aborted: false }),
      () => ended({ aborted: true }),
    ),
  );
  if (!encoded) return new Response(through.readable, response);
  return new Response(through.readable, { status, statusText, headers, encodeBody: 'manual' });
}

/** The runtime cannot pipe what came out of one of its transform streams into another: that is moved by hand. */
async function move(from: ReadableStream<Uint8Array>, to: WritableStream<Uint8Array>): Promise<void> {
  const reader = from.getReader();
  const writer = to.getWriter();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) await writer.write(part.value);
    await writer.close();
  } catch (error) {
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
    throw error;
  }
}
