import { type LuaCall, LuaNative, type LuaResult, type LuaValue, results } from '../../../shared/lua/value.ts';
import { normalizePath } from '../../../shared/normalize-path.ts';
import { multipartFields } from '../../http/arguments/multipart.ts';
import { eachLineOf, firstLine, type HeaderFields } from '../../http/fields.ts';
import type { GatewayRequest } from '../../plugins/runtime/request.ts';
import type { Captures } from '../../router/capture.ts';
import { argumentsUpTo, decodeArguments, isList, isMap } from '../arguments.ts';
import { contextOf, type Library, type LuaContext } from '../context.ts';
import { decodeJson } from '../json.ts';
import { stringOf } from './checks.ts';

/** `kong.request`: the request as the client sent it and as plugins before have left it. */
export const request: Library = {
  get_scheme: get('get_scheme', ({ request }) => request.scheme),
  get_host: get('get_host', ({ request }) => hostOf(request.headers.get('host') ?? '')),
  get_port: get('get_port', ({ request }) => request.forwarded.port),
  get_forwarded_scheme: get('get_forwarded_scheme', ({ request }) => request.forwarded.proto),
  get_forwarded_host: get('get_forwarded_host', ({ request }) => request.forwarded.host),
  get_forwarded_port: get('get_forwarded_port', ({ request }) => request.forwarded.port),
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
  get_path_with_query: get('get_path_with_query', ({ request }) =>
    request.query === '' ? request.rawPath : `${request.rawPath}?${request.query}`,
  ),
  get_raw_query: get('get_raw_query', ({ request }) => request.query),
  get_query_arg: new LuaNative('get_query_arg', (call) => {
    const name = stringOf(call, 1, 'query argument name');
    const value = decodeArguments(queryOf(call), DEFAULT_MAX).get(name);
    return Array.isArray(value) ? value[0] : value;
  }),
  get_query: new LuaNative('get_query', (call) => argumentsUpTo(queryOf(call), most(call, 1, 'max_args'))),
  get_header: new LuaNative('get_header', (call) =>
    headerOf(contextOf(call).request.headers, stringOf(call, 1, 'header name')),
  ),
  get_headers: new LuaNative('get_headers', (call) =>
    headersUpTo(contextOf(call).request.headers, most(call, 1, 'max_headers')),
  ),
  get_raw_body: new LuaNative('get_raw_body', (call) => rawBody(call), true),
  get_body: new LuaNative('get_body', (call) => body(call), true),
  get_start_time: get('get_start_time', ({ subject }) => subject.startedAt),
  get_uri_captures: get('get_uri_captures', ({ request }) => capturesTable(request.captures)),
};

/** Bodies are read up to here. */
export const BODY_LIMIT = 10 * 1024 * 1024;
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

/** Groups by name, and by number from 1 on. */
export function capturesTable({ positional, named }: Captures) {
  return {
    named: new Map<LuaValue, LuaValue>(Object.entries(named)),
    unnamed: new Map<LuaValue, LuaValue>(positional.flatMap((text, i) => (text === null ? [] : [[i + 1, text]]))),
  };
}

/** Groups by number and by name in one table; 0 is all that the route matched, where it has groups. */
export function uriCaptures({
  captures,
  matchedPath,
}: Pick<GatewayRequest, 'captures' | 'matchedPath'>): Map<LuaValue, LuaValue> {
  const { unnamed, named } = capturesTable(captures);
  const all = new Map([...unnamed, ...named]);
  if (captures.positional.length > 0 && matchedPath !== null) all.set(0, matchedPath);
  return all;
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
export function headersUpTo(headers: HeaderFields, max: number): LuaResult {
  let lines = 0;
  for (const _ of eachLineOf(headers)) lines += 1;
  const table = headersTable(headers, max);
  return lines > max ? results(table, 'truncated') : table;
}

async function rawBody(call: LuaCall): Promise<LuaResult> {
  const { request } = contextOf(call);
  const bytes = await request.body.read(BODY_LIMIT);
  return bytes ?? results(null, TOO_LONG);
}

async function body(call: LuaCall): Promise<LuaResult> {
  const { request } = contextOf(call);
  const type = call.optionalText(1) ?? request.headers.get('content-type');
  const max = call.optionalNumber(2) ?? DEFAULT_MAX;
  if (type === null || type === undefined) return results(null, 'missing content type');
  const media = type.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const known = ['application/x-www-form-urlencoded', 'application/json', 'multipart/form-data'];
  if (!known.includes(media)) return results(null, `unsupported content type '${type}'`, media);
  const bytes = await request.body.read(BODY_LIMIT);
  if (bytes === null) return results(null, TOO_LONG, media);
  return readBody(media, type, bytes, max);
}

/** A body as a table, its error, its media type. */
export function readBody(media: string, type: string, bytes: Uint8Array, max: number): LuaResult {
  const text = new TextDecoder().decode(bytes);
  switch (media) {
    case 'application/json':
      try {
        const value = decodeJson(text);
        if (isList(value) || isMap(value)) return results(value, null, media);
      } catch {}
      return results(null, 'invalid json body', media);
    case 'multipart/form-data':
      return results(multipartFields(type, bytes), null, media);
    default:
      return results(decodeArguments(text, max), null, media);
  }
}

function hostOf(host: string): string {
  return /^(\[[^\]]*\]|[^:]*)/.exec(host)?.[1] ?? host;
}

/** A header of a client that is believed. */
function trusted({ client, incoming }: LuaContext['request'], name: string): string | null {
  return client.trusted ? incoming.headers.get(name) : null;
}

/** What `strip_path` takes away. */
function strippedPrefix({ route, matchedPath }: LuaContext['request']): string | undefined {
  const strips = route !== null && route.row.strip_path !== false;
  return strips && matchedPath !== null && matchedPath !== '' && matchedPath !== '/' ? matchedPath : undefined;
}
