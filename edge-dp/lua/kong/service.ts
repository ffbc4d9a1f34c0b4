import { type LuaCall, LuaNative, type LuaResult, results } from '../../../shared/lua/value.ts';
import type { GatewayRequest } from '../../plugins/runtime/request.ts';
import type { StreamSession } from '../../plugins/runtime/stream.ts';
import { withoutArgument } from '../../proxy/query.ts';
import { encodeArguments, isList, isMap } from '../arguments.ts';
import { AFTER_HEAD, BEFORE_UPSTREAM, contextIn, type Library, type LuaContext } from '../context.ts';
import { encodeJson } from '../json.ts';
import { headerOfCall, headersOfCall, integerOf, stringOf } from './checks.ts';
import { headerOf, headersUpTo, most, readBody } from './request.ts';
import { setHeader } from './response.ts';

/** `kong.service`: where the request goes, what it says there, and what the service answered. */
export const service: Library = {
  set_upstream: inAccess('set_upstream', ({ request }, call) => {
    const upstream = stringOf(call, 1, 'host');
    if (!request.hasUpstream(upstream)) return results(undefined, `could not find an Upstream named '${upstream}'`);
    request.upstream.target = { upstream };
    return true;
  }),
  set_target: forAll('set_target', ({ upstream }, call) => {
    const host = stringOf(call, 1, 'host');
    upstream.target = { host, port: integerOf(call, 2, 'port', 0, 65_535) };
    return undefined;
  }),
  set_timeouts: inAccess('set_timeouts', ({ request }, call) => {
    const timeout = (at: number, name: string) => integerOf(call, at, name, 1, 2_147_483_646);
    request.upstream.timeouts = {
      connect: timeout(1, 'connect_timeout'),
      write: timeout(2, 'write_timeout'),
      read: timeout(3, 'read_timeout'),
    };
    return undefined;
  }),
  set_retries: inAccess('set_retries', ({ request }, call) => {
    request.upstream.retries = integerOf(call, 1, 'retries', 0, 32_767);
    return undefined;
  }),
  set_tls_verify: forAll('set_tls_verify', ({ upstream }, call) => {
    if (call.type(1) !== 'boolean') throw new Error('argument must be a boolean');
    upstream.verifyTls = call.truth(1);
    return true;
  }),
  set_tls_verify_depth: forAll('set_tls_verify_depth', ({ upstream }, call) => {
    if (call.type(1) !== 'number') throw new Error('argument must be a number');
    upstream.verifyDepth = integerOf(call, 1, 'argument', 0, 100);
    return true;
  }),
  set_tls_verify_store: forAll('set_tls_verify_store', ({ upstream }, call) => {
    const store = call.value(1);
    const added = isMap(store) ? store.get('certificates') : undefined;
    if (!isList(added) && !isMap(added)) throw new Error('argument must be a resty.openssl.x509.store object');
    upstream.authorities = [...added.values()].map(String);
    return true;
  }),
  set_tls_cert_key: forAll('set_tls_cert_key', ({ upstream }, call) => {
    const chain = call.value(1);
    const key = call.value(2);
    const cert = isMap(chain) ? chain.get('pem') : undefined;
    const secret = isMap(key) ? key.get('key_pem') : undefined;
    if (typeof cert !== 'string') throw new Error('chain must be what ngx.ssl.parse_pem_cert gives');
    if (typeof secret !== 'string') throw new Error('key must be what ngx.ssl.parse_pem_priv_key gives');
    upstream.certificate = { cert, key: secret };
    return true;
  }),
  request: {
    disable_tls: new LuaNative('disable_tls', (call) => {
      const { session } = contextIn(call, 'kong.service.request.disable_tls', ['preread']);
      if (session !== null) session.upstream.tls = false;
      return true;
    }),
    // The whole body is there for who asks: nothing to prepare.
    enable_buffering: change('enable_buffering', () => undefined),
    set_scheme: change('set_scheme', ({ request }, call) => {
      const scheme = stringOf(call, 1, 'scheme');
      if (scheme !== 'http' && scheme !== 'https') throw new Error(`invalid scheme: ${scheme}`);
      request.upstream.scheme = scheme;
      return undefined;
    }),
    set_path: change('set_path', ({ request }, call) => {
      const path = stringOf(call, 1, 'path');
      if (!path.startsWith('/')) throw new Error('path must start with /');
      request.upstream.path = escapePath(path);
      return undefined;
    }),
    set_raw_query: change('set_raw_query', ({ request }, call) => {
      request.query = escapeQuery(stringOf(call, 1, 'query'));
      return undefined;
    }),
    set_method: change('set_method', ({ request }, call) => {
      const method = stringOf(call, 1, 'method');
      if (!METHODS.has(method)) throw new Error(`invalid method: ${method}`);
      request.method = method;
      return undefined;
    }),
    set_query: change('set_query', ({ request }, call) => {
      if (call.type(1) !== 'table') throw new Error('args must be a table');
      request.query = encodeArguments(call.value(1));
      return undefined;
    }),
    clear_query_arg: change('clear_query_arg', ({ request }, call) => {
      call.charge(request.query.length * 2);
      request.query = withoutArgument(request.query, stringOf(call, 1, 'query argument name'));
      return undefined;
    }),
    set_header: change('set_header', ({ request }, call) => {
      setHeader(request.headers, ...headerOfCall(call));
      return undefined;
    }),
    add_header: change('add_header', ({ request }, call) => {
      const [name, lines] = headerOfCall(call);
      for (const line of lines) request.headers.append(name, line);
      return undefined;
    }),
    clear_header: change('clear_header', ({ request }, call) => {
      request.headers.delete(stringOf(call, 1, 'header'));
      return undefined;
    }),
    set_headers: change('set_headers', ({ request }, call) => {
      for (const [name, lines] of headersOfCall(call, 1)) setHeader(request.headers, name, lines);
      return undefined;
    }),
    set_raw_body: change('set_raw_body', ({ request }, call) => {
      if (call.type(1) !== 'string') throw new Error('body must be a string');
      request.body.replace(call.bytes(1).slice());
      return undefined;
    }),
    set_body: change('set_body', setBody),
  },
  response: {
    get_status: after('get_status', ({ reply, exchange }) => reply?.status ?? exchange?.reply.status),
    get_headers: new LuaNative('get_headers', (call) => {
      const context = contextIn(call, 'kong.service.response.get_headers', AFTER_HEAD);
      const headers = ofService(context);
      return headers === null ? undefined : headersUpTo(headers, most(call, 1, 'max_headers'));
    }),
    get_header: new LuaNative('get_header', (call) => {
      const headers = ofService(contextIn(call, 'kong.service.response.get_header', AFTER_HEAD));
      return headers === null ? undefined : headerOf(headers, call.text(1));
    }),
    get_raw_body: new LuaNative('get_raw_body', (call) => answerBody(call), true),
    get_body: new LuaNative('get_body', (call) => answerTable(call), true),
  },
};

/** A path as it goes on the wire: what is no character of a URI is escaped, escapes stay (`kong.tools.uri`). */
export function escapePath(path: string): string {
  return path.replace(/[^\x21-\x7e]+|["<>\\^`{|}]/g, (text) => encodeURIComponent(text));
}

/** A query as it goes on the wire: as it is, but for what would end the request line. */
export function escapeQuery(query: string): string {
  return query.replace(/[^\x21-\x7e]+|#/g, (text) => (text === '#' ? '%23' : encodeURIComponent(text)));
}

/** Those that nginx knows by name. */
const METHODS: ReadonlySet<string> = new Set(
  'GET HEAD PUT POST DELETE OPTIONS MKCOL COPY MOVE PROPFIND PROPPATCH LOCK UNLOCK PATCH TRACE'.split(' '),
);

/** Answers are read up to here. */
const ANSWER_LIMIT = 10 * 1024 * 1024;

function change(name: string, run: (context: LuaContext, call: LuaCall) => LuaResult): LuaNative {
  return new LuaNative(name, (call) => run(contextIn(call, `kong.service.${name}`, BEFORE_UPSTREAM), call));
}

/** Once there is a route to change things for. */
function inAccess(name: string, run: (context: LuaContext, call: LuaCall) => LuaResult): LuaNative {
  return new LuaNative(name, (call) => run(contextIn(call, `kong.service.${name}`, ['access']), call));
}

/** Of requests, and of sessions that are no HTTP. */
function forAll(
  name: string,
  run: (subject: Pick<GatewayRequest, 'upstream'> | Pick<StreamSession, 'upstream'>, call: LuaCall) => LuaResult,
): LuaNative {
  return new LuaNative(name, (call) => {
    const context = contextIn(call, `kong.service.${name}`, ['preread', ...BEFORE_UPSTREAM]);
    return run(context.session ?? context.request, call);
  });
}

function after(name: string, read: (context: LuaContext) => LuaResult): LuaNative {
  return new LuaNative(name, (call) => {
    const context = contextIn(call, `kong.service.response.${name}`, AFTER_HEAD);
    return ofService(context) === null ? undefined : read(context);
  });
}

/** The answer's headers where the service made it. */
function ofService({ reply, exchange }: LuaContext) {
  const answer = reply ?? exchange?.reply ?? null;
  return answer !== null && answer.source === 'service' ? answer.headers : null;
}

function setBody({ request }: LuaContext, call: LuaCall): LuaResult {
  if (call.type(1) !== 'table') throw new Error('args must be a table');
  if (call.has(2) && call.type(2) !== 'string') throw new Error('mime must be a string');
  const table = call.value(1);
  const type = call.optionalText(2) ?? request.headers.get('content-type') ?? undefined;
  if (type === undefined) return results(null, 'mime must be given, or the request have a Content-Type');
  const media = type.split(';', 1)[0]?.trim().toLowerCase();
  if (media === 'application/json') request.body.replace(encodeJson(table), type);
  else if (media === 'application/x-www-form-urlencoded') request.body.replace(encodeArguments(table), type);
  else if (media === 'multipart/form-data') request.body.replace(...multipart(table));
  else throw new Error(`unsupported content type '${type}'`);
  return true;
}

function multipart(table: ReturnType<LuaCall['value']>): [string, string] {
  if (!isMap(table)) throw new Error('args must be a table');
  const boundary = crypto.randomUUID().replaceAll('-', '');
  const parts = [...table].map(
    ([name, value]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${String(name).replace(/["\r\n]/g, '_')}"\r\n\r\n${String(value)}\r\n`,
  );
  return [`${parts.join('')}--${boundary}--\r\n`, `multipart/form-data; boundary=${boundary}`];
}

async function answerBody(call: LuaCall): Promise<LuaResult> {
  const { reply } = contextIn(call, 'kong.service.response.get_raw_body', ['response', 'header_filter']);
  return reply === null ? undefined : await reply.body.read(ANSWER_LIMIT);
}

async function answerTable(call: LuaCall): Promise<LuaResult> {
  const { reply } = contextIn(call, 'kong.service.response.get_body', ['response', 'header_filter']);
  if (reply === null) return undefined;
  const type = call.optionalText(1) ?? reply.headers.get('content-type') ?? '';
  const bytes = await reply.body.read(ANSWER_LIMIT);
  if (bytes === null) return results(null, 'the body is too long');
  return readBody(type.split(';', 1)[0]?.trim().toLowerCase() ?? '', type, bytes, 100);
}
