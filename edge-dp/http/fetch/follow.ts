import type { EndListener, ResponseEnd } from '../messages.ts';
import { failBehind } from './connection-end.ts';
import { type ReadAhead, readAhead, SMALL_BODY } from './read-ahead.ts';
import { encoding } from './response.ts';

interface Following {
  readonly listeners: readonly EndListener[];
  /** The body came out of one of the runtime's transform streams, which it cannot pipe into another: that is moved by hand. */
  readonly made: boolean;
  /** Of a WebSocket: resolves with its end; null where nobody can tell. */
  readonly over: (() => Promise<unknown>) | null;
  /** The client's connection ends with the response. */
  readonly last: boolean;
  /** It answers a HEAD: what it says of its length is not of its own body. */
  readonly head: boolean;
  /** Of the request: aborted when the client is found to have left. */
  readonly left: AbortSignal;
  /** Called behind the listeners. */
  readonly settle: () => void;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/**
 * A response that tells its listeners when its body has been passed on or given up, and ends the connection if it is the last. A WebSocket
 * cannot be followed without reading its messages, unless its way upstream tells, and what has no body has nothing to follow:
 * those end at once.
 */
export function followed(response: Response, following: Following): Response | Promise<Response> {
  const { listeners, made, over, last, head, left, settle, waitUntil } = following;
  const ended = (end: ResponseEnd): void => {
    for (const listener of listeners) listener(end);
    settle();
  };
  const { body, headers, status, statusText } = response;
  const bare = status === 204 || status === 205 || status === 304;
  if (response.webSocket !== null || bare || (!last && (body === null || head))) {
    if (listeners.length > 0) waitUntil((over?.() ?? Promise.resolve()).then(() => ended(WHOLE)));
    return response;
  }
  const length = Number(headers.get('content-length') ?? (body === null ? 0 : Number.NaN));
  const init = { status, statusText, headers, encodeBody: encoding(headers) };
  const passedOn = (sends: (to: WritableStream<Uint8Array>, passed: Passed) => Promise<void>): Response => {
    const passed: Passed = { bytes: null };
    const sent = (): Pick<ResponseEnd, 'sent'> => (passed.bytes === null ? {} : { sent: passed.bytes });
    const through = Number.isInteger(length) ? new FixedLengthStream(length) : new IdentityTransformStream();
    waitUntil(
      sends(through.writable, passed).then(
        () => ended({ ...WHOLE, ...sent() }),
        (error: unknown) =>
          ended({ aborted: true, clientLeft: left.aborted || error instanceof NobodyTakes, ...sent() }),
      ),
    );
    return new Response(through.readable, init);
  };
  if (body === null || made || last || !(length > 0 && length <= SMALL_BODY))
    return passedOn((to, passed) => send(head ? null : body, to, following, passed));
  return readAhead(body, length).then((ahead) => {
    if (ahead.whole === null) return passedOn((to, passed) => moveRest(ahead, to, left, passed));
    soon(() => ended(WHOLE));
    return new Response(ahead.whole, init);
  });
}

/**
 * Once the answer has been handed over, and before the runtime goes on: nothing has to keep the request for that, which costs
 * more than what is done.
 */
export function soon(work: () => void): void {
  void Promise.resolve().then(work);
}

const WHOLE: ResponseEnd = { aborted: false, clientLeft: false };

/** How much of a body has been handed on; null: the runtime moves it by itself, which does not tell. */
interface Passed {
  bytes: number | null;
}

async function send(
  body: ReadableStream<Uint8Array> | null,
  to: WritableStream<Uint8Array>,
  { made, last, left }: Pick<Following, 'made' | 'last' | 'left'>,
  passed: Passed,
): Promise<void> {
  // Where nothing comes for a while no write would fail: the upstream would be held for nobody.
  if (body !== null) await (made ? move(body, to, left, passed) : pipe(body, to, left));
  await (last ? failBehind(to) : to.close());
}

/** The client is gone: its side failed, whether or not the runtime has said so of the request yet. */
class NobodyTakes extends Error {}

async function pipe(
  body: ReadableStream<Uint8Array>,
  to: WritableStream<Uint8Array>,
  left: AbortSignal,
): Promise<void> {
  try {
    await body.pipeTo(to, { preventClose: true, signal: left });
  } catch (error) {
    // A source that failed says so; one that was cancelled, since nobody took what it gave, has ended.
    const failedItself = await body.getReader().closed.then(
      () => false,
      () => true,
    );
    throw failedItself ? error : new NobodyTakes(String(error));
  }
}

async function moveRest(
  { reader, first }: Exclude<ReadAhead, { readonly whole: Uint8Array }>,
  to: WritableStream<Uint8Array>,
  left: AbortSignal,
  passed: Passed,
): Promise<void> {
  await moveFrom(reader, first, to, left, passed);
  await to.close();
}

/** Without closing what it writes to. */
function move(
  from: ReadableStream<Uint8Array>,
  to: WritableStream<Uint8Array>,
  left: AbortSignal,
  passed: Passed,
): Promise<void> {
  const reader = from.getReader();
  return moveFrom(reader, reader.read(), to, left, passed);
}

async function moveFrom(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  first: Promise<ReadableStreamReadResult<Uint8Array>>,
  to: WritableStream<Uint8Array>,
  left: AbortSignal,
  passed: Passed,
): Promise<void> {
  passed.bytes = 0;
  const writer = to.getWriter();
  const stop = (): void => void reader.cancel(left.reason).catch(() => undefined);
  left.addEventListener('abort', stop);
  try {
    for (let part = await first; !part.done; part = await reader.read()) {
      // What is written is the stream's from then on.
      const size = part.value.byteLength;
      await writer.write(part.value).catch((error: unknown) => {
        throw new NobodyTakes(String(error));
      });
      passed.bytes += size;
    }
    left.throwIfAborted();
  } catch (error) {
    await Promise.allSettled([writer.abort(error), reader.cancel(error)]);
    throw error;
  } finally {
    left.removeEventListener('abort', stop);
  }
  writer.releaseLock();
}
