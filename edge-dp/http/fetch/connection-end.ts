/**
 * How a Worker ends a client's connection behind an answer, for which it has no word: the runtime closes when a body fails that has been
 * sent. What has no body (204, 304) cannot end anything.
 */
export async function failBehind(body: WritableStream<Uint8Array>): Promise<void> {
  const error = Object.assign(new Error('the connection ends with this answer'), LOST);
  await body.abort(error).catch(() => undefined);
}

/** By this the runtime takes an error for a lost connection, of which it has nothing to log. */
const LOST = { retryable: true };

/**
 * The runtime writes no Connection header. Its forerunner tells those that still read it (Node, browsers) to send nothing more:
 * they would have written their next request before they see the end.
 */
export const LAST = ['Proxy-Connection', 'close'] as const;
