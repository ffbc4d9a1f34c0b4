import type { FieldList } from '../fields.ts';
import type { EndListener, HttpResponse } from '../messages.ts';
import { OwnResponse } from '../messages.ts';
import { LAST } from './connection-end.ts';
import { followed, soon } from './follow.ts';
import { ownBody } from './own-body.ts';
import type { FetchRequest } from './request.ts';
import { encoding, FetchResponse, nativeContent } from './response.ts';

type WaitUntil = (work: Promise<unknown>) => void;

/** The native response that answers a request; whoever listens for its end hears of it. */
export function respond(
  request: FetchRequest,
  response: HttpResponse,
  waitUntil: WaitUntil,
): Response | Promise<Response> {
  if (response instanceof FetchResponse) {
    const { listeners, made, over } = response;
    if (request.isLast) response.headers.set(...LAST);
    if ((listeners.length === 0 || response.held) && !request.isLast) {
      tellAtOnce(request, listeners);
      return response.native;
    }
    return followed(response.native, { listeners, made, over, waitUntil, ...ending(request) });
  }
  if (response instanceof OwnResponse) return ofOwn(request, response, waitUntil);
  throw new TypeError('this response is none of this host');
}

function ofOwn(request: FetchRequest, response: OwnResponse, waitUntil: WaitUntil): Response | Promise<Response> {
  const { status, content, headers, listeners } = response;
  const cut = response.closing && request.ownConnections;
  if (cut || request.isLast) headers.set(...LAST);
  const init = { status, headers: pairs(headers), encodeBody: encoding(headers) };
  const native = new Response(nativeContent(status, content), init);
  if (content !== null && typeof content !== 'string' && !(content instanceof Uint8Array)) {
    if (listeners.length === 0 && !request.isLast) {
      request.settle();
      return native;
    }
    return followed(native, { listeners, made: true, over: null, waitUntil, ...ending(request) });
  }
  tellAtOnce(request, listeners);
  // Requests without a body, as most are, are spared the question.
  if (request.body === null && !request.isLast && !cut) return native;
  if (status === 204 || status === 205 || status === 304) return native;
  return ownBody(native, content ?? '', request, { cut, waitUntil });
}

/** They hear once it has been handed over: the runtime has all of it. */
function tellAtOnce(request: FetchRequest, listeners: readonly EndListener[]): void {
  if (listeners.length === 0) {
    request.settle();
    return;
  }
  soon(() => {
    for (const ended of listeners) ended({ aborted: false, clientLeft: false });
    request.settle();
  });
}

function ending(request: FetchRequest): {
  readonly last: boolean;
  readonly head: boolean;
  readonly left: AbortSignal;
  readonly settle: () => void;
} {
  const { isLast, method, native } = request;
  return { last: isLast, head: method === 'HEAD', left: native.signal, settle: () => request.settle() };
}

/** Each line by itself, names spelt as they were given. */
function pairs({ lines }: FieldList): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < lines.length; at += 2) pairs.push([lines[at] ?? '', lines[at + 1] ?? '']);
  return pairs;
}
