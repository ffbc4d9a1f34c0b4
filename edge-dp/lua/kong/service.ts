import { type LuaCall, LuaNative, type LuaResult, type LuaValue, results } from '../../../shared/lua/value.ts';
import { boundaryOf } from '../../http/arguments/multipart.ts';
import { FieldList, firstLine } from '../../http/fields.ts';
import { andThen } from '../../plugins/runtime/and-then.ts';
import type { GatewayRequest, Received } from '../../plugins/runtime/request.ts';
import type { StreamSession } from '../../plugins/runtime/stream.ts';
import { withoutArgument } from '../../proxy/query.ts';
import { encodeArguments, isList, isMap, typeOf } from '../arguments.ts';
import { AFTER_HEAD, BEFORE_UPSTREAM, contextIn, type Library, type LuaContext } from '../context.ts';
import { encodeJson } from '../json.ts';
import { headerOfCall, headersOfCall, integerOf, searched, stringOf } from './checks.ts';
import { bareType, headerOf, headersUpTo, mediaOf, most, readBody } from './request.ts';
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
    enable_buffering: change('enable_buffering', ({ tables }) => {
      tables.buffered = true;
      return undefined;
    }),
    set_scheme: change('set_scheme', ({ request }, call) => {
      const scheme = stringOf(call, 1, 'scheme');
      if (scheme !== 'http' && scheme !== 'https') throw new Error(`invalid scheme: ${scheme}`);
      request.upstream.scheme = scheme;
      return undefined;
    }),
    set_path: change('set_path', ({ request }, call) => {
      const path = stringOf(call, 1, 'path');
      if (!path.startsWith('/')) throw new Error('path must start with /');
      call.charge(path.length / 4);
      request.upstream.path = escapePath(path);
      return undefined;
    }),
    set_raw_query: change('set_raw_query', ({ request }, call) => {
      const query = stringOf(call, 1, 'query');
      call.charge(query.length / 4);
      request.query = escapeQuery(query);
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
      setHeader(searched(call, request.headers), ...headerOfCall(call));
      return undefined;
    }),
    add_header: change('add_header', ({ request }, call) => {
      const [name, lines] = headerOfCall(call);
      for (const line of lines) searched(call, request.headers).append(name, line);
      return undefined;
    }),
    clear_header: change('clear_header', ({ request }, call) => {
      searched(call, request.headers).delete(stringOf(call, 1, 'header'));
      return undefined;
    }),
    set_headers: change('set_headers', ({ request }, call) => {
      for (const [name, lines] of headersOfCall(call, 1)) setHeader(searched(call, request.headers), name, lines);
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
    get_status: after('get_status', ({ status }) => status),
    get_headers: after('get_headers', ({ headers }, call) => headersUpTo(call, headers, most(call, 1, 'max_headers'))),
    get_header: after('get_header', ({ headers }, call) =>
      headerOf(searched(call, headers), stringOf(call, 1, 'name')),
    ),
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

/** Of what the service answered: nothing, where it has not. */
function after(name: string, read: (received: Received | typeof NOTHING, call: LuaCall) => LuaResult): LuaNative {
  return new LuaNative(name, (call) => {
    const { received } = contextIn(call, `kong.service.response.${name}`, AFTER_HEAD).request;
    return read(received ?? NOTHING, call);
  });
}

const NOTHING = { status: undefined, headers: new FieldList() };

function setBody({ request }: LuaContext, call: LuaCall): LuaResult {
  if (call.type(1) !== 'table') throw new Error('args must be a table');
  if (call.truth(2) && call.type(2) !== 'string') throw new Error('mime must be a string');
  const table = call.value(1);
  const type = (call.truth(2) ? call.text(2) : null) ?? firstLine(request.headers, 'content-type');
  if (type === null) {
    return results(null, 'content type was neither explicitly given as an argument or received as a header');
  }
  const media = bareType(type);
  if (media === 'application/json') request.body.replace(encodeJson(table), type);
  else if (media === 'application/x-www-form-urlencoded') request.body.replace(encodeArguments(table), type);
  else if (media === 'multipart/form-data') request.body.replace(...multipart(table, boundaryOf(type)));
  else throw new Error(`unsupported content type ${type}`);
  return true;
}

/** A body of parts in the order of their names, and its type: with the boundary that is given, unless a value has it. */
function multipart(table: LuaValue, given: string | null): [string, string] {
  const parts = fieldsOf(table);
  const isFree = given !== null && parts.every(([, value]) => !`\n${value}`.includes(`\n--${given}`));
  const boundary = isFree ? given : crypto.randomUUID().replaceAll('-', '');
  const lines = parts.map(
    ([name, value]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${name.replace(/["\r\n]/g, '_')}"\r\n\r\n${value}\r\n`,
  );
  return [`${lines.join('')}--${boundary}--\r\n`, `multipart/form-data; boundary=${boundary}`];
}

/** Names and values of parts, sorted. Throws for what is no text. */
function fieldsOf(table: LuaValue): [name: string, value: string][] {
  const entries = isMap(table)
    ? [...table]
    : isList(table)
      ? [...table.entries()].map(([i, item]) => [i + 1, item] as const)
      : [];
  const fields = entries.map(([name, value]): [string, string] => {
    if (typeof name !== 'string')
      throw new Error(`invalid key "${String(name)}": got ${typeOf(name)}, expected string`);
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw new Error(`invalid value "${name}": got ${typeOf(value)}, expected string, number or boolean`);
    }
    return [name, String(value)];
  });
  return fields.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Without a promise where the body is there: what Lua logs must be there for the plugins after it. */
function answerBody(call: LuaCall): LuaResult | Promise<LuaResult> {
  return wholeAnswer(contextIn(call, 'kong.service.response.get_raw_body', AFTER_HEAD));
}

function answerTable(call: LuaCall): LuaResult | Promise<LuaResult> {
  const context = contextIn(call, 'kong.service.response.get_body', AFTER_HEAD);
  const { headers } = context.request.received ?? NOTHING;
  const type = call.optionalText(1) ?? firstLine(headers, 'content-type');
  if (type === null) return results(null, 'missing content type');
  const media = mediaOf(type);
  if (media === null) return results(null, `unsupported content type '${type}'`, bareType(type));
  const max = most(call, 2, 'max_args');
  return andThen(wholeAnswer(context), (bytes) =>
    bytes === null ? results(null, 'the body is too long', media) : readBody(media, type, bytes, max),
  );
}

/** The service's body, as long as nothing of it has been sent, or where somebody said before that it would be asked for. Null: too long. */
function wholeAnswer({ phase, reply, tables }: LuaContext): Uint8Array | null | Promise<Uint8Array | null> {
  if (tables.answer !== null) return tables.answer;
  if (reply !== null && (phase === 'response' || phase === 'header_filter')) return reply.body.read(ANSWER_LIMIT, true);
  if (tables.buffered) return new Uint8Array();
  const how = '(see: kong.service.request.enable_buffering function)';
  throw new Error(`service body is only available with buffered proxying ${how}`);
}
