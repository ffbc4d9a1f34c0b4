import { createHash } from 'node:crypto';
import type { ServerHttp2Stream } from 'node:http2';
import type { HttpResponse } from '../../../http/messages.ts';
import { joinSockets } from '../../egress/http1.ts';
import type { RefusalPages } from '../http/refuse.ts';
import type { NodeRequest } from '../http/request.ts';
import { UpstreamResponse } from '../http/upstream-response.ts';
import { answer, closeRest, fieldsOf, refuseStream, tellEnd } from './answer.ts';
import type { WebSocketKey } from './request.ts';

const NOTHING = Buffer.alloc(0);
/** RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Answers an extended CONNECT (RFC 8441): with the upstream's 101 the stream becomes the connection. */
export function answerWebSocket(
  request: NodeRequest,
  key: WebSocketKey,
  response: HttpResponse,
  to: ServerHttp2Stream,
  pages: RefusalPages,
): void {
  if (!(response instanceof UpstreamResponse) || response.tunnel === null) {
    to.once('finish', () => closeRest(to));
    answer(request, response, to, pages);
    return;
  }
  const { tunnel, listeners, headers } = response;
  // In HTTP/2 there is no challenge: that the upstream speaks the protocol is for the gateway to see.
  if (headers.get('sec-websocket-accept') !== createHash('sha1').update(`${key}${GUID}`).digest('base64')) {
    response.discard();
    refuseStream(to, pages.page({ status: 502 }, request));
    return;
  }
  headers.delete('sec-websocket-accept');
  if (listeners.length > 0) tellEnd(to, listeners);
  to.respond([':status', '200', ...fieldsOf(headers.lines)], {});
  joinSockets(to, tunnel, NOTHING);
}
