import { type LuaCall, LuaNative } from '../../../shared/lua/value.ts';
import { concatBytes } from '../../http/bytes.ts';
import type { HeaderFields } from '../../http/fields.ts';
import type { HttpResponse } from '../../http/messages.ts';
import { bareAnswer } from '../../plugins/runtime/bare-answer.ts';
import { isList, isMap } from '../arguments.ts';
import { AFTER_HEAD, contextIn, contextOf, type Library, type LuaContext, WITH_HEAD } from '../context.ts';
import { encodeJson } from '../json.ts';
import { headerOfCall, headersOfCall, stringOf } from './checks.ts';
import { headerOf, headersUpTo, most } from './request.ts';

/** `kong.response`: what the client gets. */
export const response: Library = {
  get_status: new LuaNative('get_status', (call) => {
    const { reply, exchange } = contextOf(call);
    return reply?.status ?? exchange?.reply.status;
  }),
  get_header: new LuaNative('get_header', (call) =>
    headerOf(headersNow(contextOf(call)), stringOf(call, 1, 'header name')),
  ),
  get_headers: new LuaNative('get_headers', (call) =>
    headersUpTo(headersNow(contextOf(call)), most(call, 1, 'max_headers')),
  ),
  get_source: new LuaNative('get_source', (call) => {
    const { reply, exchange } = contextIn(call, 'kong.response.get_source', AFTER_HEAD);
    return reply?.source ?? exchange?.reply.source;
  }),
  set_status: new LuaNative('set_status', (call) => {
    const { reply } = contextIn(call, 'kong.response.set_status', WITH_HEAD);
    const status = statusOf(call, 100);
    if (reply !== null && reply.status !== status) reply.status = finalStatus(status);
    return undefined;
  }),
  set_header: new LuaNative('set_header', (call) => {
    const context = contextIn(call, 'kong.response.set_header', WITH_HEAD);
    setHeader(headersNow(context), ...headerOfCall(call));
    return undefined;
  }),
  add_header: new LuaNative('add_header', (call) => {
    const context = contextIn(call, 'kong.response.add_header', WITH_HEAD);
    const [name, lines] = headerOfCall(call);
    for (const line of lines) headersNow(context).append(name, line);
    return undefined;
  }),
  clear_header: new LuaNative('clear_header', (call) => {
    headersNow(contextIn(call, 'kong.response.clear_header', WITH_HEAD)).delete(stringOf(call, 1, 'header name'));
    return undefined;
  }),
  set_headers: new LuaNative('set_headers', (call) => {
    const context = contextIn(call, 'kong.response.set_headers', WITH_HEAD);
    for (const [name, lines] of headersOfCall(call, 1)) setHeader(headersNow(context), name, lines);
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

/** Sets a header to these lines; without any it goes. */
export function setHeader(headers: HeaderFields, name: string, [first, ...rest]: readonly string[]): void {
  if (first === undefined) {
    headers.delete(name);
    return;
  }
  headers.set(name, first);
  for (const line of rest) headers.append(name, line);
}

/** A status between `least` and 599. */
function statusOf(call: LuaCall, least: number): number {
  if (call.type(1) !== 'number') throw new Error('code must be a number');
  const status = call.number(1);
  if (!Number.isInteger(status) || status < least || status > 599) {
    throw new Error(`code must be a number between ${least} and 599`);
  }
  return status;
}

/** Kong closes the connection where an answer is to have a status that only announces one (RFC 9110 section 15.2). */
function finalStatus(status: number): number {
  if (status < 200) throw new Error('code must be that of a final answer, a number between 200 and 599');
  return status;
}

/** `headers` of an answer: a table, or nothing. */
function answerHeaders(call: LuaCall): (readonly [name: string, lines: string[]])[] {
  if (!call.has(3)) return [];
  if (call.type(3) !== 'table') throw new Error('headers must be a nil or table');
  return headersOfCall(call, 3).filter(([name]) => !/^transfer[-_]encoding$/i.test(name));
}

/** `kong.response.exit(status, body, headers)`: a table is sent as JSON, a text as the bytes it is. */
function exit(call: LuaCall): never {
  const context = contextIn(call, 'kong.response.exit', ['preread', ...WITH_HEAD]);
  const status = statusOf(call, 100);
  if (context.session !== null) return context.refuse(status);
  finalStatus(status);
  const given = call.value(2);
  const table = isMap(given) || isList(given);
  if (call.has(2) && !table && call.type(2) !== 'string') throw new Error('body must be a nil, string or table');
  const content = table ? encodeJson(given) : given instanceof Uint8Array ? given.slice() : given;
  const headers = answerHeaders(call);
  if (!call.has(2) && BEFORE_UPSTREAM.has(context.phase)) return context.exit(bareWith(context, status, headers));
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1].join(', ');
  let answer = context.request.exit(status, content, type === undefined ? {} : { 'content-type': type });
  if (answer.headers.has('grpc-status')) {
    // Of a table gRPC clients get the message, as an outcome.
    if (table) answer = context.request.exit(status, { message: isMap(given) ? given.get('message') : undefined });
  } else if (table) answer.headers.set('Content-Type', 'application/json; charset=utf-8');
  for (const [name, lines] of headers) setHeader(answer.headers, name, lines);
  return context.exit(answer);
}

const BEFORE_UPSTREAM: ReadonlySet<string> = new Set(['rewrite', 'access']);

/** A status alone, which the headers go with; a page keeps the type of its own. */
function bareWith({ request }: LuaContext, status: number, headers: ReturnType<typeof answerHeaders>): HttpResponse {
  const answer = bareAnswer(request, status);
  const paged = answer.headers.has('content-type');
  for (const [name, lines] of headers) {
    if (!paged || !/^content-type$/i.test(name)) setHeader(answer.headers, name, lines);
  }
  return answer;
}

/** `kong.response.error(status, message, headers)`: Kong's template by Accept, or by the Content-Type that is given. */
function error(call: LuaCall): never {
  const context = contextIn(call, 'kong.response.error', ['preread', 'rewrite', 'access']);
  const status = statusOf(call, 400);
  if (context.session !== null) return context.refuse(status);
  const given = call.value(2);
  const table = isMap(given) || isList(given);
  if (call.has(2) && !table && call.type(2) !== 'string') throw new Error('message must be a nil, a string or a table');
  const headers = answerHeaders(call);
  const answer = context.request.error(status, table ? encodeJson(given) : call.optionalText(2));
  for (const [name, lines] of headers) setHeader(answer.headers, name, lines);
  return context.exit(answer);
}
