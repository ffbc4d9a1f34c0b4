import { FetchResponse, writablePhrase } from '../../http/fetch/response.ts';
import { type ByteReader, ProtocolError } from './byte-reader.ts';
import { unusable } from './egress.ts';
import { readResponseHead, responseBody } from './http1-response.ts';

const RESET_CONTENT = 205;

/** The response to a request of that method, its body as it comes. Throws as `readResponseHead`; the body fails where it is cut. */
export async function readResponse(reader: ByteReader, method: string): Promise<FetchResponse> {
  const { status, reason, headers, framing } = await readResponseHead(reader, method);
  const statusText = writablePhrase(reason);
  const useless = unusable({ status, webSocket: null });
  if (useless !== null) throw new ProtocolError(useless);
  // What an upstream sends behind a 205 nobody may have (RFC 9110 section 15.3.6).
  if (framing.kind === 'none' || status === RESET_CONTENT) {
    reader.cancel();
    return new FetchResponse(new Response(null, { status, statusText, headers }));
  }
  let body = responseBody(reader, framing);
  if (framing.kind === 'length') {
    const fixed = new FixedLengthStream(framing.length);
    body.pipeTo(fixed.writable).catch(() => undefined);
    body = fixed.readable;
  }
  // `manual`: the bytes are encoded as Content-Encoding says already.
  return new FetchResponse(new Response(body, { status, statusText, headers, encodeBody: 'manual' }), { made: true });
}
