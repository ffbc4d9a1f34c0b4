import { type LuaCall, LuaNative, type LuaValue } from '../../../shared/lua/value.ts';
import { concatBytes } from '../../http/bytes.ts';
import type { HeaderFields } from '../../http/fields.ts';
import { isList, isMap } from '../arguments.ts';
import { AFTER_HEAD, contextIn, contextOf, type Library, type LuaContext, WITH_HEAD } from '../context.ts';
import { encodeJson } from '../json.ts';
import { headerOf, headersTable, most } from './request.ts';

/** `kong.response`: what the client gets. */
export const response: Library = {
  get_status: new LuaNative('get_status', (call) => {
    const { reply, exchange } = contextOf(call);
    return reply?.status ?? exchange?.reply.status;
  }),
  get_header: new LuaNative('get_header', (call) => headerOf(headersNow(contextOf(call)), call.text(1))),
  get_headers: new LuaNative('get_headers', (call) =>
    headersTable(headersNow(contextOf(call)), most(call, 1, 'max_headers')),
  ),
  get_source: new LuaNative('get_source', (call) => {
    const { reply, exchange } = contextIn(call, 'kong.response.get_source', AFTER_HEAD);
    return reply?.source ?? exchange?.reply.source;
  }),
  set_status: new LuaNative('set_status', (call) => {
    const { reply } = contextIn(call, 'kong.response.set_status', WITH_HEAD);
    const status = call.number(1);
    if (status < 100 || status > 599) throw new Error('code should be an integer between 100 and 599');
    if (reply !== null) reply.status = status;
    return undefined;
  }),
  set_header: new LuaNative('set_header', (call) => {
    const context = contextIn(call, 'kong.response.set_header', WITH_HEAD);
    setHeader(headersNow(context), call.text(1), call.value(2));
    return undefined;
  }),
  add_header: new LuaNative('add_header', (call) => {
    const context = contextIn(call, 'kong.response.add_header', WITH_HEAD);
    for (const text of headerTexts(call.value(2))) headersNow(context).append(call.text(1), text);
    return undefined;
  }),
  clear_header: new LuaNative('clear_header', (call) => {
    headersNow(contextIn(call, 'kong.response.clear_header', WITH_HEAD)).delete(call.text(1));
    return undefined;
  }),
  set_headers: new LuaNative('set_headers', (call) => {
    const context = contextIn(call, 'kong.response.set_headers', WITH_HEAD);
    for (const [name, value] of entries(call, 1)) setHeader(headersNow(context), name, value);
    return undefined;
  }),
  get_raw_body: new LuaNative('get_raw_body', (call) => {
    const { chunk } = contextIn(call, 'kong.response.get_raw_body', ['body_filter']);
    if (chunk === null) return undefined;
    chunk.whole ??= [];
    if (chunk.bytes !== null) chunk.whole.push(chunk.bytes);
    chunk.bytes = null;
    if (!chunk.last) return undefined;
    const whole = concatBytes(chunk.whole);
    chunk.whole = [];
    chunk.bytes = whole;
    return whole;
  }),
  set_raw_body: new LuaNative('set_raw_body', (call) => {
    const { chunk } = contextIn(call, 'kong.response.set_raw_body', ['body_filter']);
    if (chunk !== null) chunk.bytes = chunk.last ? call.bytes(1).slice() : null;
    return undefined;
  }),
  exit: new LuaNative('exit', exit),
  error: new LuaNative('error', error),
};

/** Where headers for the client stand now: kept for whatever answer comes, or on the answer that is there. */
export function headersNow({ request, reply, exchange }: LuaContext): HeaderFields {
  return reply?.headers ?? exchange?.reply.headers ?? request.replyHeaders;
}

/** Sets one line, or one for each of a list. */
export function setHeader(headers: HeaderFields, name: string, value: LuaValue): void {
  const [first, ...rest] = headerTexts(value);
  if (first === undefined) {
    headers.delete(name);
    return;
  }
  headers.set(name, first);
  for (const text of rest) headers.append(name, text);
}

export function headerTexts(value: LuaValue): string[] {
  const values = isList(value) ? value : isMap(value) && value.size === 0 ? [] : [value];
  return values.map((each) => {
    if (typeof each === 'string') return each.trim();
    if (typeof each === 'number' || typeof each === 'boolean') return String(each);
    throw new Error('header value must be a string, number, boolean or a list of them');
  });
}

/** A table of names and values. */
export function entries(call: LuaCall, at: number): [string, LuaValue][] {
  const table = call.value(at);
  if (!isMap(table) && !isList(table)) throw new Error('headers must be a table');
  if (isList(table)) throw new Error('headers must have strings as names');
  return [...table].map(([name, value]) => {
    if (typeof name !== 'string') throw new Error(`invalid name "${String(name)}": got number, expected string`);
    return [name, value];
  });
}

/** `kong.response.exit(status, body, headers)`: a table is sent as JSON. */
function exit(call: LuaCall): never {
  const context = contextIn(call, 'kong.response.exit', WITH_HEAD);
  const status = call.number(1);
  if (!Number.isInteger(status) || status < 100 || status > 599) {
    throw new Error('code must be a number between 100 and 599');
  }
  const given = call.value(2);
  const table = isMap(given) || isList(given);
  const content =
    given === undefined
      ? undefined
      : table
        ? encodeJson(given)
        : given instanceof Uint8Array
          ? new TextDecoder().decode(given)
          : String(given);
  const headers = call.has(3) ? entries(call, 3) : [];
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type');
  let answer = context.request.exit(status, content, type && { 'content-type': String(type[1]) });
  if (answer.headers.has('grpc-status')) {
    // Of a table gRPC clients get the message, as an outcome.
    if (table) answer = context.request.exit(status, { message: isMap(given) ? given.get('message') : undefined });
  } else if (table) answer.headers.set('Content-Type', 'application/json; charset=utf-8');
  else if (given !== undefined) answer.headers.delete('content-type');
  for (const [name, value] of headers) setHeader(answer.headers, name, value);
  return context.exit(answer);
}

/** `kong.response.error(status, message, headers)`: Kong's template by Accept. */
function error(call: LuaCall): never {
  const context = contextIn(call, 'kong.response.error', ['rewrite', 'access']);
  const status = call.number(1);
  const answer = context.request.error(status, call.optionalText(2));
  if (call.has(3)) for (const [name, value] of entries(call, 3)) setHeader(answer.headers, name, value);
  return context.exit(answer);
}
