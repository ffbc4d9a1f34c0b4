import { FieldList } from '../../http/fields.ts';
import type { Egress, UpstreamBody } from '../../proxy/egress/egress.ts';
import { type OutgoingRequest, ServiceError, type Services } from '../runtime/services.ts';
import { serviceErrorCode } from './failure-codes.ts';

/** Requests of plugins' own, sent the ways those of clients are. `ownTrust`: the host was given CAs to verify by. */
export function fetchService(egress: Egress, ownTrust: boolean): Services['fetch'] {
  return async (request) => {
    if (request.proxy != null) throw new ServiceError('unsupported', 'this data plane uses no HTTP proxies');
    const url = parsed(request.url);
    const headers = FieldList.of(request.headers ?? {});
    if (url.username !== '' && !headers.has('authorization')) headers.set('Authorization', basic(url));
    const secure = url.protocol === 'https:';
    const { timeout } = request;
    const result = await egress.send({
      scheme: secure ? 'https' : 'http',
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
      authority: headers.get('host') ?? url.host,
      target: `${url.pathname}${url.search}`,
      method: request.method ?? 'GET',
      headers: withoutHost(headers),
      body: bodyOf(request, timeout),
      version: '1.1',
      websocket: false,
      tls: { verify: request.verify ?? true, verifyDepth: null, ca: [], certificate: null, ...(ownTrust && BY_NODE) },
      timeouts: { connect: timeout, read: timeout, write: timeout },
    });
    if (result.kind === 'response') return result.response;
    const { code, message } = result.failure;
    throw new ServiceError(serviceErrorCode(code), `${request.method ?? 'GET'} ${url.origin}: ${message}`);
  };
}

const BY_NODE = { trust: 'node' } as const;

function parsed(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new ServiceError('unsupported', `${JSON.stringify(text)} is no http or https URL`);
  return url;
}

/** User and password of a URL as they go into a header (RFC 7617). */
function basic({ username, password }: URL): string {
  const bytes = new TextEncoder().encode(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

function withoutHost(headers: FieldList): FieldList {
  headers.delete('host');
  return headers;
}

function bodyOf({ body = null }: OutgoingRequest, timeout: number): UpstreamBody {
  if (body === null) return { kind: 'none' };
  if (typeof body === 'string') return { kind: 'bytes', bytes: new TextEncoder().encode(body) };
  if (body instanceof Uint8Array) return { kind: 'bytes', bytes: body };
  return { kind: 'incoming', source: body, length: null, patience: timeout, limit: null };
}
