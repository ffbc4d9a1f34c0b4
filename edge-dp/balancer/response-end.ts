import type { EgressName } from '../proxy/egress/egress.ts';

/**
 * A response that calls `ended` when its body has been passed on or given up. A compressed body cannot be followed
 * without being decompressed by the runtime, and a WebSocket not without reading its messages: those end at once.
 */
export function untilEnd(
  response: Response,
  via: EgressName,
  waitUntil: (work: Promise<unknown>) => void,
  ended: () => void,
): Response {
  const { body, headers } = response;
  if (body === null || response.webSocket !== null || headers.has('content-encoding')) {
    ended();
    return response;
  }
  const length = Number(headers.get('content-length') ?? Number.NaN);
  const through = Number.isInteger(length) ? new FixedLengthStream(length) : new IdentityTransformStream();
  // The runtime cannot pipe what came out of one of its transform streams into another: that is moved by hand.
  const moved = via === 'sockets' ? move(body, through.writable) : body.pipeTo(through.writable);
  waitUntil(moved.then(ended, ended));
  return new Response(through.readable, response);
}

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
