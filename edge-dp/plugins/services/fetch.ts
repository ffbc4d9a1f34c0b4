import { unescaped } from '../../../shared/unescaped.ts';
import { FieldList } from '../../http/fields.ts';
import type { Egress, UpstreamBody } from '../../proxy/egress/egress.ts';
import type { EgressTimeouts, ProxyHop } from '../../proxy/egress/protocol.ts';
import { type OutgoingRequest, ServiceError, type Services } from '../runtime/services.ts';
import { serviceErrorCode } from './failure-codes.ts';
import { patienceOf } from './patience.ts';

/** Requests of plugins' own, sent the ways those of clients are. `ownTrust`: the host was given CAs to verify by. */
export function fetchService(egress: Egress, ownTrust: boolean): Services['fetch'] {
  return async (request) => {
    const url = parsed(request.url);
    const proxy = request.proxy == null ? null : proxyOf(request.proxy);
    const headers = FieldList.of(request.headers ?? {});
    if (url.username !== '' && !headers.has('authorization')) headers.set('Authorization', basic(url));
    const secure = url.protocol === 'https:';
    const timeouts = timeoutsOf(request.timeout);
    const authority = headers.get('host') ?? url.host;
    const target = `${url.pathname}${url.search}`;
    const place = { host: hostOf(url), port: url.port === '' ? (secure ? 443 : 80) : Number(url.port) };
    const way =
      proxy === null ? { ...place, target } : secure ? { ...place, target, proxy } : asked(proxy, url, headers);
    const result = await egress.send({
      scheme: secure ? 'https' : 'http',
      ...way,
      authority,
      method: request.method ?? 'GET',
      headers: withoutHost(headers),
      body: bodyOf(request, timeouts.read),
      version: '1.1',
      websocket: false,
      tls: { verify: request.verify ?? true, verifyDepth: null, ca: [], certificate: null, ...(ownTrust && BY_NODE) },
      timeouts,
    });
    if (result.kind === 'response') return result.response;
    const { code, message } = result.failure;
    throw new ServiceError(serviceErrorCode(code), `${request.method ?? 'GET'} ${url.origin}: ${message}`);
  };
}

function timeoutsOf(timeout: OutgoingRequest['timeout']): EgressTimeouts {
  const { connect, read, write } =
    typeof timeout === 'number' ? { connect: timeout, read: timeout, write: timeout } : timeout;
  return { connect: patienceOf(connect), read: patienceOf(read), write: patienceOf(write) };
}

const BY_NODE = { trust: 'node' } as const;

function parsed(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new ServiceError('unsupported', `${JSON.stringify(text)} is no http or https URL`);
  return url;
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function proxyOf(text: string): ProxyHop {
  const url = URL.parse(text);
  if (url === null || url.protocol !== 'http:')
    throw new ServiceError('unsupported', 'a proxy must be an http:// URL: it is spoken to in clear');
  const { username, password, port } = url;
  const credentials = username === '' ? null : { user: unescaped(username), password: unescaped(password) };
  return { host: hostOf(url), port: port === '' ? 80 : Number(port), credentials };
}

/** What is not to be hidden from a proxy it is asked for itself, by the whole URL (RFC 9112 section 3.2.2). */
function asked({ host, port, credentials }: ProxyHop, url: URL, headers: FieldList) {
  if (credentials !== null) headers.set('Proxy-Authorization', basicOf(credentials));
  return { host, port, target: `${url.origin}${url.pathname}${url.search}` };
}

/** User and password of a URL as they go into a header (RFC 7617). */
function basic({ username, password }: URL): string {
  return basicOf({ user: unescaped(username), password: unescaped(password) });
}

function basicOf({ user, password }: { readonly user: string; readonly password: string }): string {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

function withoutHost(headers: FieldList): FieldList {
  headers.delete('host');
  return headers;
}

function bodyOf({ body = null }: OutgoingRequest, patience: number): UpstreamBody {
  if (body === null) return { kind: 'none' };
  if (typeof body === 'string') return { kind: 'bytes', bytes: new TextEncoder().encode(body) };
  if (body instanceof Uint8Array) return { kind: 'bytes', bytes: body };
  return { kind: 'incoming', source: body, length: null, patience, limit: null };
}
