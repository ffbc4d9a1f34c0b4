import { concatBytes } from '../../../shared/bytes.ts';
import { type LuaCall, LuaNative, type LuaValue } from '../../../shared/lua/value.ts';
import type { HeaderFields } from '../../http/fields.ts';
import { type HttpResponse, OwnResponse } from '../../http/messages.ts';
import { bareAnswer } from '../../plugins/runtime/bare-answer.ts';
import type { StreamSession } from '../../plugins/runtime/stream.ts';
import { completeGrpc } from '../../proxy/errors.ts';
import { isList, isMap } from '../arguments.ts';
import { AFTER_HEAD, contextIn, contextOf, type Library, type LuaContext, WITH_HEAD } from '../context.ts';
import { encodeJson } from '../json.ts';
import { headerOfCall, headersOfCall, searched, stringOf } from './checks.ts';
import { headerOf, headersUpTo, most } from './request.ts';

/** `kong.response`: what the client gets. */
export const response: Library = {
  get_status: new LuaNative('get_status', (call) => {
    const { reply, exchange } = contextOf(call);
    return reply?.status ?? exchange?.reply.status;
  }),
  get_header: new LuaNative('get_header', (call) =>
    headerOf(searched(call, headersNow(contextOf(call))), stringOf(call, 1, 'header name')),
  ),
  get_headers: new LuaNative('get_headers', (call) =>
    headersUpTo(call, headersNow(contextOf(call)), most(call, 1, 'max_headers')),
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
    const header = headerOfCall(call);
    if (mayBeSet(context, header)) setReplyHeader(searched(call, headersNow(context)), ...header);
    return undefined;
  }),
  add_header: new LuaNative('add_header', (call) => {
    const context = contextIn(call, 'kong.response.add_header', WITH_HEAD);
    const [name, lines] = headerOfCall(call);
    if (isLength(name)) return undefined;
    for (const line of lines) searched(call, headersNow(context)).append(name, line);
    return undefined;
  }),
  clear_header: new LuaNative('clear_header', (call) => {
    const headers = headersNow(contextIn(call, 'kong.response.clear_header', WITH_HEAD));
    searched(call, headers).delete(stringOf(call, 1, 'header name'));
    return undefined;
  }),
  set_headers: new LuaNative('set_headers', (call) => {
    const context = contextIn(call, 'kong.response.set_headers', WITH_HEAD);
    for (const header of headersOfCall(call, 1)) {
      if (mayBeSet(context, header)) setReplyHeader(searched(call, headersNow(context)), ...header);
    }
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
    if (call.type(1) !== 'string') throw new Error('body must be a string');
    if (chunk === null) return undefined;
    // A body of its own, though an empty one: Kong's is a line end then.
    chunk.bytes = call.text(1) === '' ? LINE_END : call.bytes(1).slice();
    chunk.ended = true;
    return undefined;
  }),
  exit: new LuaNative('exit', exit),
  error: new LuaNative('error', error),
};

/** Where headers for the client stand now: kept for whatever answer comes, or on the answer that is there. */
export function headersNow({ request, reply, exchange }: LuaContext): HeaderFields {
  return reply?.headers ?? exchange?.reply.headers ?? request.replyHeaders;
}

const LINE_END = new TextEncoder().encode('\n');

/** How a message is framed is no plugin's: told to the log, and passed over. */
function mayBeSet({ site }: LuaContext, [name]: Header): boolean {
  if (!/^transfer[-_]encoding$/i.test(name)) return true;
  site.services.log('warn', `${site.plugin}: manually setting Transfer-Encoding. Ignored.`);
  return false;
}

type Header = readonly [name: string, lines: string[]];

/** Sets a header to these lines; without any it goes. */
export function setHeader(headers: HeaderFields, name: string, [first, ...rest]: readonly string[]): void {
  if (first === undefined) {
    headers.delete(name);
    return;
  }
  headers.set(name, first);
  for (const line of rest) headers.append(name, line);
}

/**
 * The same, for the client. How long an answer is it says itself: by another length its client would take the next answer for the rest of
 * this one, or what is left of this one for the next.
 */
export function setReplyHeader(headers: HeaderFields, name: string, lines: readonly string[]): void {
  if (lines.length === 0 || !isLength(name)) setHeader(headers, name, lines);
}

function isLength(name: string): boolean {
  return /^content[-_]length$/i.test(name);
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
function answerHeaders(call: LuaCall): Header[] {
  if (!call.has(3)) return [];
  if (call.type(3) !== 'table') throw new Error('headers must be a nil or table');
  return headersOfCall(call, 3).filter((header) => mayBeSet(contextOf(call), header));
}

/** `kong.response.exit(status, body, headers)`: a table is sent as JSON, a text as the bytes it is. */
function exit(call: LuaCall): never {
  const context = contextIn(call, 'kong.response.exit', ['preread', ...WITH_HEAD]);
  if (context.session !== null) return exitStream(context, context.session, call);
  const status = statusOf(call, 100);
  finalStatus(status);
  const given = call.value(2);
  const table = isMap(given) || isList(given);
  if (call.has(2) && !table && call.type(2) !== 'string') throw new Error('body must be a nil, string or table');
  const content = table ? encodeJson(given) : given instanceof Uint8Array ? given.slice() : given;
  const headers = answerHeaders(call);
  const type = typeAmong(headers);
  if ((type ?? headersNow(context).get('content-type'))?.startsWith(GRPC) === true) {
    if (table) throw new Error('table body encoding with gRPC is not supported');
    return context.exit(grpcOutput(status, content, headers));
  }
  if (!call.has(2) && BEFORE_UPSTREAM.has(context.phase)) return context.exit(bareWith(context, status, headers));
  let answer = context.request.exit(status, content, type === undefined ? {} : { 'content-type': type });
  if (answer.headers.has('grpc-status')) {
    // Of a table gRPC clients get the message, as an outcome.
    if (table) answer = context.request.exit(status, { message: isMap(given) ? given.get('message') : undefined });
  } else if (table) answer.headers.set('Content-Type', 'application/json; charset=utf-8');
  for (const [name, lines] of headers) setHeader(answer.headers, name, lines);
  return context.exit(answer);
}

/** Of a session: it ends with this status, and what is said below 400 is what the client gets, in place of an upstream's. */
function exitStream(context: LuaContext, session: StreamSession, call: LuaCall): never {
  const status = statusOf(call, 0);
  if (!STREAM_STATUSES.has(status)) {
    throw new Error('unacceptable code, only 200, 400, 403, 500, 502 and 503 are accepted');
  }
  const given = call.value(2);
  const table = isMap(given) || isList(given);
  if (call.has(2) && !table && call.type(2) !== 'string') throw new Error('body must be a nil, string or table');
  const body = !call.has(2) ? null : table ? new TextEncoder().encode(encodeJson(given)) : call.bytes(2).slice();
  if (status < 400) session.farewell = body;
  else if (body !== null) {
    const text = new TextDecoder().decode(body);
    const { services, plugin } = context.site;
    services.log('error', `${plugin}: unable to proxy stream connection, status: ${status}, err: ${text}`);
  }
  return context.refuse(status);
}

const STREAM_STATUSES: ReadonlySet<number> = new Set([200, 400, 403, 500, 502, 503]);

const GRPC = 'application/grpc';

/** An answer that says itself that it is gRPC's: with its body, whatever the client speaks. */
function grpcOutput(status: number, content: LuaValue, headers: readonly Header[]): HttpResponse {
  const answer = new OwnResponse(status, typeof content === 'string' || content instanceof Uint8Array ? content : null);
  answer.headers.set('Content-Type', GRPC);
  for (const [name, lines] of headers) setHeader(answer.headers, name, lines);
  completeGrpc(answer);
  return answer;
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

function typeAmong(headers: readonly Header[]): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1].join(', ');
}

/** `kong.response.error(status, message, headers)`: Kong's template by Accept, or by the Content-Type that is given. */
function error(call: LuaCall): never {
  const context = contextIn(call, 'kong.response.error', ['preread', ...WITH_HEAD]);
  const status = statusOf(call, 400);
  if (context.session !== null) return context.refuse(status);
  const given = call.value(2);
  const table = isMap(given) || isList(given);
  if (call.has(2) && !table && call.type(2) !== 'string') throw new Error('message must be a nil, a string or a table');
  const headers = answerHeaders(call);
  const message = table ? encodeJson(given) : call.optionalText(2);
  const type = typeAmong(headers);
  const answer = context.request.error(status, message, type === undefined ? {} : { 'content-type': type });
  for (const [name, lines] of headers) setHeader(answer.headers, name, lines);
  return context.exit(answer);
}
