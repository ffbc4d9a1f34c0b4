/**
 * A response that calls `ended` when its body has been passed on or given up. A compressed body cannot be followed
 * without being decompressed by the runtime, and a WebSocket not without reading its messages: those end at once.
 */
export function untilEnd(response: Response, ended: () => void, waitUntil: (work: Promise<unknown>) => void): Response {
  const { body, headers } = response;
  if (body === null || response.webSocket !== null || headers.has('content-encoding')) {
    ended();
    return response;
  }
  const length = Number(headers.get('content-length') ?? Number.NaN);
  const through = Number.isInteger(length) ? new FixedLengthStream(length) : new IdentityTransformStream();
  waitUntil(body.pipeTo(through.writable).then(ended, ended));
  return new Response(through.readable, response);
}
