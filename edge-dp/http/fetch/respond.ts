import type { FieldList } from '../fields.ts';
import type { HttpResponse } from '../messages.ts';
import { OwnResponse } from '../messages.ts';
import { followed } from './follow.ts';
import { closing, lingering } from './own-body.ts';
import type { FetchRequest } from './request.ts';
import { FetchResponse, nativeContent } from './response.ts';

type WaitUntil = (work: Promise<unknown>) => void;

/** The native response that answers a request; whoever listens for its end hears of it. */
export function respond(request: FetchRequest, response: HttpResponse, waitUntil: WaitUntil): Response {
  if (response instanceof FetchResponse) {
    const { native, listeners, body } = response;
    return listeners.length === 0 ? native : followed(native, body, listeners, waitUntil);
  }
  if (response instanceof OwnResponse) return ofOwn(request, response, waitUntil);
  throw new TypeError('this response is none of this host');
}

function ofOwn(request: FetchRequest, response: OwnResponse, waitUntil: WaitUntil): Response {
  const { status, content, headers, listeners } = response;
  const native = new Response(nativeContent(status, content), { status, headers: pairs(headers) });
  if (content !== null && typeof content !== 'string' && !(content instanceof Uint8Array))
    return listeners.length === 0 ? native : followed(native, { encoded: false, made: true }, listeners, waitUntil);
  if (listeners.length > 0) {
    // They hear once it has been handed over: it is short, and the runtime has all of it.
    waitUntil(
      Promise.resolve().then(() => {
        for (const ended of listeners) ended({ aborted: false });
      }),
    );
  }
  if (native.body === null) return native;
  if (response.closing) return closing(native, content ?? '', waitUntil);
  // Requests without a body are spared the question.
  return request.body === null ? native : lingering(native, content ?? '', request, waitUntil);
}

/** Each line by itself, names spelt as they were given. */
function pairs({ lines }: FieldList): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < lines.length; at += 2) pairs.push([lines[at] ?? '', lines[at + 1] ?? '']);
  return pairs;
}
