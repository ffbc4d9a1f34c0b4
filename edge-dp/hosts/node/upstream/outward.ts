import type { Lookup } from '../../../balancer/name-resolution.ts';
import type { FieldList, HeaderFields } from '../../../http/fields.ts';
import { FieldList as Lines } from '../../../http/fields.ts';
import { failed, serverNameOf, type UpstreamRequest, type UpstreamResult } from '../../../proxy/egress/egress.ts';
import type { Outward } from '../../../proxy/egress/outward.ts';
import type { UpstreamCall } from '../../egress/call.ts';
import type { Endpoint } from '../../egress/connect.ts';
import { NameService } from '../../egress/dns.ts';
import { asEgressError } from '../../egress/failure.ts';
import { Http1 } from '../../egress/http1.ts';
import { Http2 } from '../../egress/http2.ts';
import { loadedIdentities } from '../../egress/identities.ts';
import type { DnsOptions, TrustOptions } from '../../options.ts';
import { ClientBody } from '../http/client-body.ts';
import { bytesOf, wireLines } from '../http/wire-fields.ts';
import { Answer } from './answer.ts';
import { announcementOf, trailersOf } from './trailers.ts';
import { Upload } from './upload.ts';

/** Sends requests upstream from this process. */
export function createOutward(dns: DnsOptions, trust: TrustOptions | null = null): Outward {
  const http1 = new Http1();
  const http2 = new Http2();
  const names = new NameService(dns);
  const identityOf = loadedIdentities(trust);
  const lookup: Lookup = (name, type) => names.resolve(name, type);

  function send(request: UpstreamRequest): Promise<UpstreamResult> {
    if (request.client?.clientLeft) return Promise.resolve(failed('client_left', true, 'the client has left'));
    const { tls, scheme, host, port, version, timeouts, proxy } = request;
    if (scheme === 'https' && tls.certificate?.key === '')
      return Promise.resolve(failed('unsupported', false, 'a client certificate without key'));
    let upload: Upload | null = null;
    try {
      const endpoint: Endpoint = {
        host,
        port,
        tls: scheme === 'https' ? { identity: identityOf(tls), serverName: serverNameOf(request) } : null,
        protocol: version === '2' ? 'h2' : 'http/1.1',
        connectTimeout: timeouts.connect,
        ...(proxy !== undefined && { proxy }),
      };
      upload = request.body.kind === 'incoming' ? new Upload(request.body) : null;
      const answer = new Answer(request, upload);
      const call = callOf(request, upload);
      if (request.websocket) {
        http1.upgrade(call, 'websocket', endpoint, answer, (tunnel, headers) => answer.upgraded(tunnel, headers));
      } else if (version === '2') {
        http2.send(call, endpoint, answer).catch((error: unknown) => answer.fail(asEgressError(error)));
      } else {
        http1.send(call, endpoint, answer);
      }
      return answer.result;
    } catch (error) {
      upload?.destroy();
      return Promise.resolve({ kind: 'failure', failure: asEgressError(error).failure });
    }
  }

  return { egress: { send }, lookup };
}

function callOf(
  { scheme, method, authority, target, headers, body, timeouts, client }: UpstreamRequest,
  upload: Upload | null,
): UpstreamCall {
  const lines = wireLines(listOf(headers));
  // A client decides itself whether it says so (RFC 9110 section 8.6).
  if (client === undefined && body.kind === 'none' && EXPECT_BODY.has(method)) lines.push('Content-Length', '0');
  if (body.kind === 'incoming' && body.length === null && body.source instanceof ClientBody) {
    const announcement = announcementOf(body.source);
    if (announcement !== null) lines.push('Trailer', announcement);
  }
  return {
    scheme,
    method,
    authority: bytesOf(authority),
    path: bytesOf(target),
    headers: lines,
    body: upload ?? (body.kind === 'bytes' ? body.bytes : null),
    trailers: body.kind === 'incoming' ? trailersOf(body.source, lines) : null,
    timeouts,
  };
}

const EXPECT_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

function listOf(headers: HeaderFields): FieldList {
  if (headers instanceof Lines) return headers;
  const list = new Lines();
  for (const [name, value] of headers) list.append(name, value);
  return list;
}
