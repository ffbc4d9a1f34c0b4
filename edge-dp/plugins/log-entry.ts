import { isRecord } from '../../shared/record.ts';
import type { HeaderFields } from '../http/fields.ts';
import { decodeArguments } from '../lua/arguments.ts';
import { correlation } from './correlation-id.ts';
import { changed, type LogChange } from './log-changes.ts';
import { headerTable } from './request-tables.ts';
import type { Exchange, Try } from './runtime/exchange.ts';
import { type Slots, slot } from './runtime/slot.ts';
import type { StreamExchange } from './runtime/stream.ts';
import { describeSession } from './stream-log-entry.ts';

/** The ids of a request's trace by the formats it was told upstream in: the `trace_id` of its log entry. */
export const traceIds = slot<Readonly<Record<string, string>>>();

/** What `kong.log.set_serialize_value` and `custom_fields_by_lua` change of the entry, in order. */
const changes = slot<LogChange[]>();

/** What is logged: a request, or a session that is no HTTP. */
export type Logged = Exchange | StreamExchange;

export function changeLogEntry(request: { readonly slots: Slots }, change: LogChange): void {
  const all = changes.get(request);
  if (all === undefined) changes.set(request, [change]);
  else all.push(change);
}

/** Kong's log entry (`kong.log.serialize`), as JSON. Not to be changed: all plugins that log a request share it. */
export type LogEntry = Readonly<Record<string, unknown>>;

interface Made {
  readonly plain: LogEntry;
  /** The same with the first `count` changes. */
  readonly entry: LogEntry;
  readonly count: number;
  text: string | null;
}

const made = slot<Made>();

/** The entry of a request that is over, made when the first plugin asks. */
export function logEntry(exchange: Logged): LogEntry {
  return upToDate(exchange).entry;
}

/** The same as one line of JSON. */
export function logText(exchange: Logged): string {
  const now = upToDate(exchange);
  now.text ??= JSON.stringify(now.entry);
  return now.text;
}

function upToDate(exchange: Logged): Made {
  const { request } = exchange;
  const known = made.get(request);
  const all = changes.get(request) ?? [];
  if (known !== undefined && known.count === all.length) return known;
  const plain = known?.plain ?? ('session' in exchange ? describeStream(exchange) : describe(exchange));
  const now: Made = { plain, entry: all.reduce(changed, plain), count: all.length, text: null };
  made.set(request, now);
  return now;
}

/** nginx's for a client that left, whatever it had got. */
export function loggedStatus(exchange: Logged): number {
  if ('session' in exchange) return exchange.status;
  return exchange.clientLeft ? 499 : exchange.reply.status;
}

/** Bytes of the request as text; of its body those that are known. */
export function requestSize(exchange: Logged): number {
  if ('session' in exchange) return exchange.received;
  const { request, bytes } = exchange;
  const line = `${request.incoming.method} ${request.rawTarget} HTTP/1.1\r\n`.length;
  return headSize(request.incoming.headers, line) + (bytes.in ?? 0);
}

/** The same of the answer; 0 for a client that left. */
export function responseSize(exchange: Logged): number {
  if ('session' in exchange) return exchange.sent;
  const { clientLeft, reply, bytes } = exchange;
  return clientLeft ? 0 : headSize(reply.headers, STATUS_LINE) + (bytes.out ?? 0);
}

function describe(exchange: Exchange): LogEntry {
  const { request, latencies, workspaceName } = exchange;
  const { route, service, identity } = request;
  const { consumer, credential } = identity;
  const correlationId = correlation.get(request);
  const trace = traceIds.get(request);
  return {
    request: describeRequest(exchange),
    response: {
      status: loggedStatus(exchange),
      headers: answerHeaders(exchange),
      size: responseSize(exchange),
    },
    latencies: { kong: latencies.kong, proxy: latencies.proxy, request: latencies.request, receive: latencies.receive },
    ...(route !== null && { tries: triesOf(exchange), route: whole(route.row) }),
    ...(service !== null && { service: whole(service.row) }),
    ...(consumer !== null && { consumer: withoutWorkspace(whole(consumer.row)) }),
    ...(credential !== null && { authenticated_entity: { id: credential.id } }),
    client_ip: request.client.ip,
    started_at: request.startedAt,
    source: sourceOf(exchange),
    upstream_status: exchange.tries.map(statusText).join(', '),
    upstream_uri: exchange.upstreamUri,
    workspace: request.workspace,
    ...(workspaceName !== null && { workspace_name: workspaceName }),
    ...(correlationId !== undefined && { correlation_id: correlationId }),
    ...(trace !== undefined && { trace_id: trace }),
  };
}

function describeStream(exchange: StreamExchange): LogEntry {
  const { session, tries, workspaceName } = exchange;
  const { route, service } = session;
  return {
    ...describeSession(exchange),
    tries: tries.map((attempt) => tryOf(attempt, attempt.failedAs)),
    route: whole(route.row),
    ...(service !== null && { service: whole(service.row) }),
    client_ip: session.client.ip,
    started_at: session.startedAt,
    workspace: session.workspace,
    ...(workspaceName !== null && { workspace_name: workspaceName }),
  };
}

function describeRequest(exchange: Exchange): Readonly<Record<string, unknown>> {
  const { request, listenerPort } = exchange;
  const { incoming, rawTarget, scheme, tls, clientVerify } = request;
  const [, host = 'kong'] = /^(\[[^\]]*\]|[^:]+)/.exec(incoming.headers.get('host') ?? '') ?? [];
  const port = listenerPort ?? (scheme === 'https' ? 443 : 80);
  return {
    id: request.id,
    uri: rawTarget,
    url: `${scheme}://${host.toLowerCase()}:${port}${rawTarget}`,
    querystring: Object.fromEntries(decodeArguments(request.query, 0)),
    method: request.method,
    headers: { ...headerTable(request.headers), ...redacted(request.headers) },
    size: requestSize(exchange),
    ...(tls !== null && {
      tls: { version: tls.version, cipher: tls.cipher, client_verify: clientVerify ?? tls.clientVerify },
    }),
  };
}

/** Who is to be thanked, or blamed, for the answer. */
export function sourceOf({ tries, reply, clientLeft }: Exchange): 'upstream' | 'kong' {
  return tries.length > 0 && (reply.source === 'service' || clientLeft) ? 'upstream' : 'kong';
}

/** Bytes of `HTTP/1.1 200 OK` and the like: the reason is not known. */
const STATUS_LINE = 'HTTP/1.1 200 OK\r\n'.length;

/** As text, a blank line behind them: what a client sends or gets but for the runtime's own. */
function headSize(headers: HeaderFields, line: number): number {
  let size = line + 2;
  for (const [name, value] of headers) size += name.length + value.length + 4;
  return size;
}

const REDACTED = ['authorization', 'proxy-authorization'];

function redacted(headers: HeaderFields): Readonly<Record<string, string>> {
  return Object.fromEntries(REDACTED.filter((name) => headers.has(name)).map((name) => [name, 'REDACTED']));
}

/** Of an answer that the gateway made, with the length that its host will say. */
function answerHeaders(exchange: Exchange): Readonly<Record<string, unknown>> {
  const { reply, bytes } = exchange;
  const headers = headerTable(reply.headers);
  const unsaid = sourceOf(exchange) === 'kong' && bytes.out !== null && headers['content-length'] === undefined;
  const hasBody = reply.status !== 204 && reply.status !== 304 && exchange.request.method !== 'HEAD';
  return unsaid && hasBody ? { ...headers, 'content-length': String(bytes.out) } : headers;
}

/** `-`: the client left before there was an answer. */
export function statusText({ status, failedAs }: Try): string {
  return String(status ?? failedAs ?? '-');
}

function triesOf({ tries, aborted, clientLeft }: Exchange): readonly object[] {
  return tries.map((attempt, at) => {
    // It answered, and then did not send all of its body.
    const brokeOff = at === tries.length - 1 && aborted && !clientLeft;
    return tryOf(attempt, attempt.failedAs ?? (brokeOff ? 502 : null));
  });
}

/** `code`: what it failed as; null: it did not. */
function tryOf({ host, port, startedAt, balancerLatency }: Try, code: number | null): object {
  return {
    ip: host,
    port,
    balancer_start: startedAt,
    balancer_start_ns: startedAt * 1e6,
    balancer_latency: balancerLatency,
    balancer_latency_ns: balancerLatency * 1e6,
    ...(code !== null && { state: 'failed', code }),
  };
}

/** Rows without what is not set, made once for each: they live as long as the config. */
const wholes = new WeakMap<object, Readonly<Record<string, unknown>>>();

function whole(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  let known = wholes.get(row);
  if (known === undefined) {
    known = withoutNulls(row);
    wholes.set(row, known);
  }
  return known;
}

function withoutNulls(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const set = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(set.map(([name, value]) => [name, isRecord(value) ? withoutNulls(value) : value]));
}

function withoutWorkspace({ ws_id: _, ...row }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return row;
}
