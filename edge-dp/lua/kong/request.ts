import { type LuaCall, LuaNative, type LuaResult, type LuaValue, results } from '../../../shared/lua/value.ts';
import { normalizePath } from '../../../shared/normalize-path.ts';
import { multipartValues } from '../../http/arguments/multipart.ts';
import { eachLineOf, firstLine, type HeaderFields, linesOf } from '../../http/fields.ts';
import type { GatewayRequest } from '../../plugins/runtime/request.ts';
import type { Captures } from '../../router/capture.ts';
import { argumentsUpTo, decodeArguments, isList, isMap } from '../arguments.ts';
import { contextOf, type Library, type LuaContext } from '../context.ts';
import { decodeJson } from '../json.ts';
import { searched, stringOf } from './checks.ts';

/** `kong.request`: the request as the client sent it and as plugins before have left it. */
export const request: Library = {
  get_scheme: get('get_scheme', ({ request }) => request.scheme),
  get_host: get('get_host', ({ request }) => hostOf(request)),
  get_port: get('get_port', portOfListener),
  get_forwarded_scheme: get(
    'get_forwarded_scheme',
    ({ request }) => trusted(request, 'x-forwarded-proto')?.toLowerCase() ?? request.scheme,
  ),
  get_forwarded_host: get('get_forwarded_host', ({ request }) => {
    const told = trusted(request, 'x-forwarded-host');
    return told === null ? hostOf(request) : hostAndPort(told).host;
  }),
  get_forwarded_port: get('get_forwarded_port', ({ request }) => {
    const told = hostAndPort(trusted(request, 'x-forwarded-host') ?? '').port;
    return portOf(trusted(request, 'x-forwarded-port')) ?? portOf(told) ?? request.publishedPort;
  }),
  get_forwarded_path: get(
    'get_forwarded_path',
    ({ request }) => trusted(request, 'x-forwarded-path') ?? normalizePath(request.rawPath),
  ),
  get_forwarded_prefix: get(
    'get_forwarded_prefix',
    ({ request }) => trusted(request, 'x-forwarded-prefix') ?? strippedPrefix(request),
  ),
  get_http_version: get('get_http_version', ({ request }) => Number(request.incoming.version)),
  get_method: get('get_method', ({ request }) => request.method),
  get_path: get('get_path', ({ request }) => normalizePath(request.rawPath)),
  get_raw_path: get('get_raw_path', ({ request }) => request.rawPath),
  get_path_with_query: get('get_path_with_query', ({ request }) => request.rawTarget),
  get_raw_query: get('get_raw_query', ({ request }) => request.query),
  get_query_arg: new LuaNative('get_query_arg', (call) => {
    const name = stringOf(call, 1, 'query argument name');
    const value = decodeArguments(queryOf(call), DEFAULT_MAX).get(name);
    return Array.isArray(value) ? value[0] : value;
  }),
  get_query: new LuaNative('get_query', (call) => argumentsUpTo(queryOf(call), most(call, 1, 'max_args'))),
  get_header: new LuaNative('get_header', (call) =>
    headerOf(searched(call, contextOf(call).request.headers), stringOf(call, 1, 'header name')),
  ),
  get_headers: new LuaNative('get_headers', (call) =>
    headersUpTo(call, contextOf(call).request.headers, most(call, 1, 'max_headers')),
  ),
  get_raw_body: new LuaNative('get_raw_body', (call) => rawBody(call), true),
  get_body: new LuaNative('get_body', (call) => body(call), true),
  get_start_time: get('get_start_time', ({ subject }) => subject.startedAt),
  get_uri_captures: get('get_uri_captures', ({ request }) => capturesTable(request)),
};

/** What looking at a line of many costs, in instructions. */
const A_LINE = 20;
/** Bodies are read up to here. */
export const BODY_LIMIT = 10 * 1024 * 1024;
/** nginx's buffer: what it holds is in no file, and has no limit but this. */
const IN_MEMORY = 8 * 1024;
const DEFAULT_MAX = 100;
const TOO_LONG = "request body did not fit into client body buffer, consider raising 'client_body_buffer_size'";

function get(name: string, read: (context: ReturnType<typeof contextOf>) => LuaValue): LuaNative {
  return new LuaNative(name, (call) => read(contextOf(call)));
}

/** The query, which is to be read: that counts by its length. */
export function queryOf(call: LuaCall): string {
  const { query } = contextOf(call).request;
  call.charge(query.length * 2);
  return query;
}

/** A count of 1 to 1000, 100 when none is given. */
export function most(call: LuaCall, at: number, name: string): number {
  if (call.has(at) && call.type(at) !== 'number') throw new Error(`${name} must be a number`);
  const max = call.optionalNumber(at) ?? DEFAULT_MAX;
  if (max < 1) throw new Error(`${name} must be >= 1`);
  if (max > 1000) throw new Error(`${name} must be <= 1000`);
  return max;
}

/** The value of a header's first line; an underscore in the name stands for a dash where there is none of that name. */
export function headerOf(headers: HeaderFields, name: string): string | null {
  return firstLine(headers, name) ?? (name.includes('_') ? firstLine(headers, name.replaceAll('_', '-')) : null);
}

/** Groups by name, and by number; 0 is all that was matched where there are any. */
export function capturesTable({
  captures,
  matchedPath,
}: {
  readonly captures: Captures;
  readonly matchedPath: string | null;
}) {
  const { positional, named } = captures;
  const unnamed = new Map<LuaValue, LuaValue>();
  if (matchedPath !== null && positional.length > 0) unnamed.set(0, matchedPath);
  for (const [i, text] of positional.entries()) if (text !== null) unnamed.set(i + 1, text);
  return { named: new Map<LuaValue, LuaValue>(Object.entries(named)), unnamed };
}

/** Groups by number and by name in one table; 0 is all that the route matched, where it has groups. */
export function uriCaptures({
  captures,
  matchedPath,
}: Pick<GatewayRequest, 'captures' | 'matchedPath'>): Map<LuaValue, LuaValue> {
  const { unnamed, named } = capturesTable({ captures, matchedPath });
  return new Map([...unnamed, ...named]);
}

/** Names in lower case; several lines of one are a list where the host tells them apart, those of Set-Cookie everywhere. */
export function headersTable(headers: HeaderFields, max: number): Map<string, LuaValue> {
  const table = new Map<string, LuaValue>();
  let count = 0;
  for (const [name, value] of eachLineOf(headers)) {
    if (++count > max) break;
    const before = table.get(name);
    if (before === undefined) table.set(name, value);
    else table.set(name, [...(Array.isArray(before) ? before : [before]), value]);
  }
  return table;
}

/** The first `max` lines of headers; when there are more, that they were cut off is the second result. */
export function headersUpTo(call: LuaCall, headers: HeaderFields, max: number): LuaResult {
  let lines = 0;
  for (const _ of eachLineOf(headers)) lines += 1;
  call.charge(lines * A_LINE);
  const table = headersTable(headers, max);
  return lines > max ? results(table, 'truncated') : table;
}

async function rawBody(call: LuaCall): Promise<LuaResult> {
  const { bytes, problem } = await readWhole(call, 1);
  return bytes ?? results(null, problem);
}

/** The body, or why it is none: `at` is the argument that may say how long a file it may be in. */
async function readWhole(
  call: LuaCall,
  at: number,
): Promise<
  { readonly bytes: Uint8Array; readonly problem: null } | { readonly bytes: null; readonly problem: string }
> {
  const bytes = await contextOf(call).request.body.read(BODY_LIMIT);
  if (bytes === null) return { bytes, problem: TOO_LONG };
  const most = call.optionalNumber(at) ?? 0;
  return most > 0 && bytes.length > Math.max(most, IN_MEMORY)
    ? { bytes: null, problem: `request body file too big: ${bytes.length} > ${most}` }
    : { bytes, problem: null };
}

async function body(call: LuaCall): Promise<LuaResult> {
  const { request } = contextOf(call);
  const type = call.optionalText(1) ?? firstLine(request.headers, 'content-type');
  if (type === null) return results(null, 'missing content type');
  const media = mediaOf(type);
  if (media === null) return results(null, `unsupported content type '${type}'`, bareType(type));
  const max = media === FORM ? most(call, 2, 'max_args') : DEFAULT_MAX;
  const { bytes, problem } = await readWhole(call, 3);
  return bytes === null ? results(null, problem, media) : readBody(media, type, bytes, max);
}

const FORM = 'application/x-www-form-urlencoded';
const MEDIA = [FORM, 'application/json', 'multipart/form-data'] as const;

/** What a body is read as: a type begins with it. Null: bodies of that type are not read. */
export function mediaOf(type: string): (typeof MEDIA)[number] | null {
  const bare = bareType(type);
  return MEDIA.find((media) => bare.startsWith(media)) ?? null;
}

export function bareType(type: string): string {
  return type.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** A body as a table, its error, its media type; and whether there are empty lists in it, which the prelude is to mark. */
export function readBody(media: (typeof MEDIA)[number], type: string, bytes: Uint8Array, max: number): LuaResult {
  const text = new TextDecoder().decode(bytes);
  switch (media) {
    case 'application/json':
      try {
        const marked = /\[\s*\]/.test(text);
        const value = decodeJson(text, marked);
        if (isList(value) || isMap(value)) return results(value, null, media, marked);
      } catch {}
      return results(null, 'invalid json body', media);
    case 'multipart/form-data':
      return results(multipartTable(type, bytes), null, media);
    default:
      return results(decodeArguments(text, max), null, media);
  }
}

/** Parts by name, several of one as a list. */
function multipartTable(type: string, bytes: Uint8Array): Map<string, LuaValue> {
  const table = new Map<string, LuaValue>();
  for (const [name, values] of multipartValues(type, bytes) ?? [])
    table.set(name, values.length > 1 ? values : values[0]);
  return table;
}

/** nginx's `$host`: in lower case, without its port and a dot at the end. */
export function hostOf({ headers }: LuaContext['request']): string {
  return hostAndPort(headers.get('host') ?? '').host.replace(/\.$/, '');
}

/** Of a Host, or what a proxy says it was; what stands before an `@` is nobody's. */
function hostAndPort(text: string): { readonly host: string; readonly port: string | null } {
  const [, host = '', port = null] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(text.slice(text.indexOf('@') + 1)) ?? [];
  return { host: host.toLowerCase(), port };
}

function portOfListener(context: LuaContext): number {
  const { session, handshake } = context;
  return session?.serverPort ?? handshake?.localPort ?? context.request.localPort;
}

function portOf(text: string | null): number | null {
  const port = text === null || !/^\s*\d+\s*$/.test(text) ? 0 : Number(text);
  return port >= 1 && port <= 65_535 ? port : null;
}

/** The first line of a header, of a client that is believed. */
function trusted({ client, headers }: LuaContext['request'], name: string): string | null {
  return client.trusted ? (linesOf(headers, name)?.[0] ?? null) : null;
}

/** What `strip_path` takes away. */
function strippedPrefix({ route, matchedPath }: LuaContext['request']): string | undefined {
  const strips = route !== null && route.row.strip_path !== false;
  return strips && matchedPath !== null && matchedPath !== '' && matchedPath !== '/' ? matchedPath : undefined;
}
