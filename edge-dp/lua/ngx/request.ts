import { type LuaCall, LuaNative, type LuaResult, type LuaValue, results } from '../../../shared/lua/value.ts';
import { decodedPath } from '../../../shared/normalize-path.ts';
import { cookiesOf } from '../../http/cookies.ts';
import type { Logged } from '../../plugins/log-entry.ts';
import type { TlsHandshake } from '../../plugins/runtime/handshake.ts';
import type { StreamSession } from '../../plugins/runtime/stream.ts';
import { argumentsUpTo, decodeArguments, encodeArguments } from '../arguments.ts';
import { BEFORE_UPSTREAM, contextIn, contextOf, type Library, type LuaContext } from '../context.ts';
import { headerLines, searched } from '../kong/checks.ts';
import { BODY_LIMIT, headersUpTo, hostOf, queryOf } from '../kong/request.ts';
import { headersNow, setHeader, setReplyHeader } from '../kong/response.ts';
import { escapePath, escapeQuery } from '../kong/service.ts';
import { tlsVariable } from './tls-variables.ts';

/** `ngx.req`. */
export const request: Library = {
  get_headers: new LuaNative('get_headers', (call) =>
    headersUpTo(call, contextOf(call).request.headers, maximum(call)),
  ),
  get_method: new LuaNative('get_method', (call) => contextOf(call).request.method),
  set_method: change('set_method', ({ request }, call) => {
    request.method = METHODS[call.number(1)] ?? request.method;
  }),
  get_uri_args: new LuaNative('get_uri_args', (call) => argumentsUpTo(queryOf(call), call.optionalNumber(1) ?? 100)),
  set_uri_args: change('set_uri_args', ({ request }, call) => {
    request.query = call.type(1) === 'table' ? encodeArguments(call.value(1)) : escapeQuery(call.text(1));
  }),
  // What routes and upstreams go by is not changed by it, as in Kong.
  set_uri: change('set_uri', ({ tables, phase }, call) => {
    const path = call.text(1);
    if (path === '') throw new Error('attempt to use zero-length uri');
    // It goes to another location of nginx, which a plugin of Kong never may.
    if (call.truth(2)) throw new Error(`API disabled in the context of ${phase}_by_lua*`);
    tables.uri = path;
  }),
  set_header: change('set_header', ({ request }, call) => {
    setHeader(searched(call, request.headers), call.text(1), headerLines(call.text(1), call.value(2) ?? []));
  }),
  clear_header: change('clear_header', ({ request }, call) => searched(call, request.headers).delete(call.text(1))),
  read_body: new LuaNative(
    'read_body',
    async (call) => {
      const context = contextOf(call);
      context.tables.body = await context.request.body.read(BODY_LIMIT);
      return undefined;
    },
    true,
  ),
  discard_body: new LuaNative('discard_body', () => undefined),
  get_body_data: new LuaNative('get_body_data', (call) => {
    const { body } = contextOf(call).tables;
    return body === null || body.length === 0 ? undefined : body;
  }),
  get_body_file: new LuaNative('get_body_file', () => undefined),
  get_post_args: new LuaNative('get_post_args', (call) => {
    const { body } = contextOf(call).tables;
    call.charge(body?.length ?? 0);
    return body === null
      ? results(undefined, 'the body was not read')
      : argumentsUpTo(new TextDecoder().decode(body), call.optionalNumber(1) ?? 100);
  }),
  set_body_data: change('set_body_data', ({ request, tables }, call) => {
    const bytes = call.bytes(1).slice();
    request.body.replace(bytes);
    tables.body = bytes;
  }),
  start_time: new LuaNative('start_time', (call) => contextOf(call).subject.startedAt / 1000),
  http_version: new LuaNative('http_version', (call) => Number(contextOf(call).request.incoming.version)),
  is_internal: new LuaNative('is_internal', () => false),
};

/** What the prelude's tables that are looked up by name do. */
export const lookups: Library = {
  variable: new LuaNative('variable', (call) => variable(contextOf(call), call)),
  set_variable: new LuaNative('set_variable', (call) => {
    const context = contextIn(call, 'ngx.var', BEFORE_UPSTREAM);
    const name = call.text(1);
    if (name === 'args') context.request.query = escapeQuery(call.optionalText(2) ?? '');
    else if (name === 'upstream_host') context.request.headers.set('Host', call.text(2));
    else if (name === 'upstream_uri') setUpstreamUri(call, context.request, call.text(2));
    else if (name === 'upstream_scheme') context.request.upstream.scheme = call.text(2) === 'https' ? 'https' : 'http';
    else throw new Error(`variable "${name}" not changeable`);
    return undefined;
  }),
  reply_header: new LuaNative('reply_header', (call) =>
    searched(call, headersNow(contextOf(call))).get(call.text(1).replaceAll('_', '-')),
  ),
  set_reply_header: new LuaNative('set_reply_header', (call) => {
    const name = call.text(1).replaceAll('_', '-');
    setReplyHeader(searched(call, headersNow(contextOf(call))), name, headerLines(name, call.value(2) ?? []));
    return undefined;
  }),
  argument: new LuaNative('argument', (call) => {
    const { chunk } = contextIn(call, 'ngx.arg', ['body_filter']);
    if (call.number(1) === 2) return chunk?.last;
    return chunk?.bytes ?? (chunk?.last === true ? '' : undefined);
  }),
  set_argument: new LuaNative('set_argument', (call) => {
    const { chunk } = contextIn(call, 'ngx.arg', ['body_filter']);
    if (chunk !== null && call.number(1) === 2) chunk.ended = call.truth(2);
    if (chunk !== null && call.number(1) === 1) chunk.bytes = call.has(2) ? call.bytes(2).slice() : null;
    return undefined;
  }),
  /** Of the answer; before there is one, what it was set to. */
  status: new LuaNative('status', (call) => {
    const { reply, exchange, tables } = contextOf(call);
    return reply?.status ?? exchange?.reply.status ?? tables.status ?? 0;
  }),
  set_status: new LuaNative('set_status', (call) => {
    const context = contextOf(call);
    const status = answerStatus(call);
    if (context.reply !== null) context.reply.status = status;
    else context.tables.status = status;
    return undefined;
  }),
  say: new LuaNative('say', (call) => {
    const context = contextIn(call, 'ngx.say', BEFORE_UPSTREAM);
    context.tables.said += call.text(1);
    return undefined;
  }),
};

/** A status that an answer can have: of one that only announces another a client would take what follows for that, of none it gets nothing. */
export function answerStatus(call: LuaCall): number {
  const status = Math.trunc(call.number(1));
  if (status >= 200 && status <= 599) return status;
  throw new Error(`status must be that of a final answer, a number between 200 and 599: given ${status}`);
}

/** Nginx's own counts: 0 is all. */
function maximum(call: LuaCall): number {
  const max = call.optionalNumber(1) ?? 100;
  return max > 0 ? max : Number.POSITIVE_INFINITY;
}

/** A query in it stands before that of the request. */
function setUpstreamUri(call: LuaCall, request: LuaContext['request'], uri: string): void {
  call.charge((uri.length + request.query.length) * 2);
  const mark = uri.indexOf('?');
  // As a whole URL it would name another host to the upstream than Host does. For nginx there is no such upstream either.
  if (mark !== 0 && uri !== '' && !uri.startsWith('/')) throw new Error('upstream_uri must start with /');
  request.upstream.path = escapePath(mark < 0 ? uri : uri.slice(0, mark));
  if (mark < 0) return;
  const own = escapeQuery(uri.slice(mark + 1));
  request.query = request.query === '' ? own : `${own}?${request.query}`;
}

function change(name: string, run: (context: LuaContext, call: LuaCall) => void): LuaNative {
  return new LuaNative(name, (call): LuaResult => {
    run(contextIn(call, `ngx.req.${name}`, BEFORE_UPSTREAM), call);
    return undefined;
  });
}

/** nginx's variables, those that a data plane has. Nil for others. */
function variable(context: LuaContext, call: LuaCall): LuaValue {
  const name = call.text(1);
  const { session, logged, handshake } = context;
  if (handshake !== null) return handshakeVariable(handshake, name);
  if (session !== null) return sessionVariable(session, logged, name);
  const { request, reply, exchange, tables } = context;
  if (tables.uri !== null && (name === 'uri' || name === 'document_uri')) return tables.uri;
  if (Object.hasOwn(VARIABLES, name)) return VARIABLES[name]?.(request);
  if (name.startsWith('ssl_')) return tlsVariable(request.tls, name);
  if (name.startsWith('http_')) return searched(call, request.headers).get(name.slice(5).replaceAll('_', '-'));
  if (name.startsWith('arg_')) {
    const value = decodeArguments(queryOf(call), 0).get(name.slice(4));
    return Array.isArray(value) ? value[0] : value === true ? '' : value;
  }
  if (name.startsWith('cookie_')) {
    const cookies = cookiesOf(searched(call, request.headers)) ?? '';
    call.charge(cookies.length * 2);
    return cookie(cookies, name.slice(7));
  }
  const answer = reply ?? exchange?.reply;
  if (answer === undefined) return undefined;
  if (name === 'status') return answer.status;
  if (name === 'upstream_status') return answer.source === 'service' ? String(answer.status) : undefined;
  if (name.startsWith('upstream_http_')) {
    return answer.source === 'service'
      ? searched(call, answer.headers).get(name.slice(14).replaceAll('_', '-'))
      : undefined;
  }
  if (name.startsWith('sent_http_')) return searched(call, answer.headers).get(name.slice(10).replaceAll('_', '-'));
  return undefined;
}

const VARIABLES: Readonly<Record<string, (request: LuaContext['request']) => LuaValue>> = {
  args: ({ query }) => (query === '' ? undefined : query),
  query_string: ({ query }) => (query === '' ? undefined : query),
  is_args: ({ query }) => (query === '' ? '' : '?'),
  host: hostOf,
  request_method: ({ method }) => method,
  request_uri: ({ rawTarget }) => rawTarget,
  uri: ({ rawPath }) => decodedPath(rawPath),
  document_uri: ({ rawPath }) => decodedPath(rawPath),
  request: ({ method, rawTarget, incoming }) => `${method} ${rawTarget} HTTP/${incoming.version}`,
  scheme: ({ scheme }) => scheme,
  ssl_server_name: ({ serverName }) => serverName ?? undefined,
  https: ({ scheme }) => (scheme === 'https' ? 'on' : ''),
  server_protocol: ({ incoming }) => `HTTP/${incoming.version}`,
  server_port: ({ localPort }) => String(localPort),
  remote_addr: ({ client }) => client.ip,
  realip_remote_addr: ({ client }) => client.peerIp,
  remote_port: ({ client }) => (client.port === null ? undefined : String(client.port)),
  realip_remote_port: ({ client }) => (client.peerPort === null ? undefined : String(client.peerPort)),
  content_type: ({ headers }) => headers.get('content-type'),
  content_length: ({ headers }) => headers.get('content-length'),
  request_id: ({ id }) => id,
  kong_request_id: ({ id }) => id,
  upstream_host: ({ headers }) => headers.get('host'),
  upstream_scheme: ({ upstream }) => upstream.scheme,
  upstream_uri: ({ upstream }) => upstream.path,
};

/** Those there are of any connection. */
function connectionVariable(
  { client, serverName }: Pick<StreamSession, 'client' | 'serverName'>,
  port: number,
  name: string,
): LuaValue {
  switch (name) {
    case 'remote_addr':
      return client.ip;
    case 'realip_remote_addr':
      return client.peerIp;
    case 'remote_port':
      return client.port === null ? undefined : String(client.port);
    case 'realip_remote_port':
      return client.peerPort === null ? undefined : String(client.peerPort);
    case 'server_port':
      return String(port);
    case 'ssl_server_name':
    case 'ssl_preread_server_name':
      return serverName ?? undefined;
    default:
      return undefined;
  }
}

function handshakeVariable(handshake: TlsHandshake, name: string): LuaValue {
  return connectionVariable(handshake, handshake.localPort, name);
}

/** Those of nginx's stream modules. */
function sessionVariable(session: StreamSession, exchange: Logged | null, name: string): LuaValue {
  const known = connectionVariable(session, session.serverPort, name);
  if (known !== undefined) return known;
  if (name.startsWith('ssl_')) return tlsVariable(session.tls, name);
  if (name === 'protocol') return session.protocol === 'udp' ? 'UDP' : 'TCP';
  if (exchange === null || !('session' in exchange)) return undefined;
  switch (name) {
    case 'status':
      return String(exchange.status);
    case 'bytes_received':
      return String(exchange.received);
    case 'bytes_sent':
      return String(exchange.sent);
    case 'session_time':
      return (exchange.latencies.session / 1000).toFixed(3);
    default:
      return undefined;
  }
}

function cookie(header: string, name: string): string | undefined {
  for (const part of header.split(';')) {
    const equals = part.indexOf('=');
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return undefined;
}

/** Of lua-nginx-module, by its numbers. */
const METHODS: Readonly<Record<number, string>> = {
  2: 'GET',
  4: 'HEAD',
  8: 'POST',
  16: 'PUT',
  32: 'DELETE',
  512: 'OPTIONS',
  16384: 'PATCH',
};
