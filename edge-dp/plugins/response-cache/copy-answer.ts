import type { StoredResponse } from '../../durable/stored-response.ts';
import { FieldList, type HeaderFields } from '../../http/fields.ts';
import { OwnResponse } from '../../http/messages.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import { type ByteRange, rangeOf } from './byte-range.ts';
import { isNotModified, NOT_IN_304 } from './not-modified.ts';

type Copy = Pick<StoredResponse, 'status' | 'headers' | 'body'>;

/**
 * A copy as an answer, or that the client has the same (RFC 9111 section 4.3.2). `asked`: the client's conditions; `ranges`: the
 * part it asks for is cut out (RFC 9110 section 14), else it gets the whole.
 */
export function answerOf(
  request: GatewayRequest,
  { status, headers: kept, body }: Copy,
  asked: HeaderFields,
  { ranges }: { readonly ranges: boolean },
): OwnResponse {
  const headers = new FieldList();
  const unchanged = status === 200 && isNotModified(asked, kept);
  for (const [name, value] of kept) {
    // What plugins say of this request takes the place of what was said of the one that was kept.
    if (name !== 'set-cookie' && request.replyHeaders.has(name)) continue;
    if (!unchanged || !NOT_IN_304.has(name)) headers.append(name, value);
  }
  if (unchanged) return new OwnResponse(304, null, headers);
  if (request.method === 'HEAD') return new OwnResponse(status, null, headers);
  const range = ranges && status === 200 && request.method === 'GET' ? rangeOf(asked, kept, body.length) : null;
  return range === null ? new OwnResponse(status, body, headers) : partOf(body, range, headers);
}

function partOf(body: Uint8Array, range: ByteRange | 'unsatisfiable', headers: FieldList): OwnResponse {
  if (range === 'unsatisfiable') {
    headers.delete('content-type');
    headers.set('Content-Range', `bytes */${body.length}`);
    return new OwnResponse(416, null, headers);
  }
  headers.set('Content-Range', `bytes ${range.first}-${range.last}/${body.length}`);
  return new OwnResponse(206, body.subarray(range.first, range.last + 1), headers);
}
