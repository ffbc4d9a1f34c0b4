import { isRecord } from '../../shared/record.ts';
import { forEachLine, lineLength } from '../http/fields.ts';
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

const NONE: readonly LogChange[] = [];

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
  readonly plain: Described;
  /** Those that are in what follows. */
  readonly changes: readonly LogChange[];
  entry: LogEntry | null;
  text: string | null;
}

/** An entry: what is of the request alone, and the rows of the config in it, which many have. */
interface Described {
  readonly own: LogEntry;
  readonly rows: Readonly<Record<string, Row>>;
}

const made = slot<Made>();

/** The entry of a request that is over, made when the first plugin asks. */
export function logEntry(exchange: Logged): LogEntry {
  return entryOf(upToDate(exchange));
}

/** The same as one line of JSON. */
export function logText(exchange: Logged): string {
  const now = upToDate(exchange);
  now.text ??= now.changes.length === 0 ? textOf(now.plain) : JSON.stringify(entryOf(now));
  return now.text;
}

function entryOf(made: Made): LogEntry {
  const { own, rows } = made.plain;
  made.entry ??= made.changes.reduce(changed, { ...own, ...rows });
  return made.entry;
}

/** Rows are put into words once: entries that wait to be sent share them. */
function textOf({ own, rows }: Described): string {
  let text = JSON.stringify(own).slice(0, -1);
  for (const [name, row] of Object.entries(rows)) text += `,"${name}":${rowText(row)}`;
  return `${text}}`;
}

function upToDate(exchange: Logged): Made {
  const { request } = exchange;
  const known = made.get(request);
  const all = changes.get(request) ?? NONE;
  if (known !== undefined && known.changes.length === all.length) return known;
  const plain = known?.plain ?? ('session' in exchange ? describeStream(exchange) : describe(exchange));
  const now: Made = { plain, changes: all.length === 0 ? NONE : [...all], entry: null, text: null };
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
  return line + request.incoming.fieldBytes + END_OF_HEAD + (bytes.in ?? 0);
}

/** The same of the answer; 0 for a client that left. */
export function responseSize(exchange: Logged): number {
  if ('session' in exchange) return exchange.sent;
  const { clientLeft, reply, bytes } = exchange;
  if (clientLeft) return 0;
  let fields = 0;
  forEachLine(reply.headers, (value, name) => {
    fields += lineLength(name, value);
  });
  return answerSize(fields, bytes.out);
}

function describe(exchange: Exchange): Described {
  const { request, latencies, workspaceName } = exchange;
  const { route, service, identity } = request;
  const { consumer, credential } = identity;
  const correlationId = correlation.get(request);
  const trace = traceIds.get(request);
  const own: LogEntry = {
    request: describeRequest(exchange),
    response: describeAnswer(exchange),
    latencies: { kong: latencies.kong, proxy: latencies.proxy, request: latencies.request, receive: latencies.receive },
    ...(route !== null && { tries: triesOf(exchange) }),
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
  const rows = {
    ...(route !== null && { route: whole(route.row) }),
    ...(service !== null && { service: whole(service.row) }),
    ...(consumer !== null && { consumer: once(consumers, consumer.row, () => withoutWorkspace(whole(consumer.row))) }),
  };
  return { own, rows };
}

function describeStream(exchange: StreamExchange): Described {
  const { session, tries, workspaceName } = exchange;
  const { route, service } = session;
  const own: LogEntry = {
    ...describeSession(exchange),
    tries: tries.map((attempt) => tryOf(attempt, attempt.failedAs)),
    client_ip: session.client.ip,
    started_at: session.startedAt,
    workspace: session.workspace,
    ...(workspaceName !== null && { workspace_name: workspaceName }),
  };
  return { own, rows: { route: whole(route.row), ...(service !== null && { service: whole(service.row) }) } };
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
    querystring: request.query === '' ? {} : Object.fromEntries(decodeArguments(request.query, 0)),
    method: request.method,
    headers: withoutSecrets(headerTable(request.headers)),
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

/** Bytes of the blank line behind a head. */
const END_OF_HEAD = 2;

const REDACTED = ['authorization', 'proxy-authorization'];

function withoutSecrets(headers: ReturnType<typeof headerTable>): ReturnType<typeof headerTable> {
  let shown = headers;
  for (const name of REDACTED) if (Object.hasOwn(headers, name)) shown = { ...shown, [name]: 'REDACTED' };
  return shown;
}

/** Its headers are gone through once: natively that costs, however few there are. */
function describeAnswer(exchange: Exchange): Readonly<Record<string, unknown>> {
  const { reply, bytes, clientLeft } = exchange;
  const headers = headerTable(reply.headers);
  const unsaid = sourceOf(exchange) === 'kong' && bytes.out !== null && headers['content-length'] === undefined;
  const hasBody = reply.status !== 204 && reply.status !== 304 && exchange.request.method !== 'HEAD';
  return {
    status: loggedStatus(exchange),
    // Of an answer that the gateway made, with the length that its host will say.
    headers: unsaid && hasBody ? { ...headers, 'content-length': String(bytes.out) } : headers,
    size: clientLeft ? 0 : answerSize(fieldBytes(headers), bytes.out),
  };
}

function answerSize(fields: number, body: number | null): number {
  return STATUS_LINE + fields + END_OF_HEAD + (body ?? 0);
}

function fieldBytes(headers: ReturnType<typeof headerTable>): number {
  let bytes = 0;
  for (const name in headers) {
    const value = headers[name] ?? '';
    if (typeof value === 'string') bytes += lineLength(name, value);
    else for (const line of value) bytes += lineLength(name, line);
  }
  return bytes;
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

type Row = Readonly<Record<string, unknown>>;

/** Rows without what is not set, and as text: made once for each, since they live as long as the config. */
const wholes = new WeakMap<object, Row>();
const consumers = new WeakMap<object, Row>();
const texts = new WeakMap<object, string>();

function once<T>(known: WeakMap<object, T>, row: Row, make: () => T): T {
  let made = known.get(row);
  if (made === undefined) {
    made = make();
    known.set(row, made);
  }
  return made;
}

function whole(row: Row): Row {
  return once(wholes, row, () => withoutNulls(row));
}

function rowText(row: Row): string {
  return once(texts, row, () => JSON.stringify(row));
}

function withoutNulls(row: Row): Row {
  const set = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(set.map(([name, value]) => [name, isRecord(value) ? withoutNulls(value) : value]));
}

function withoutWorkspace({ ws_id: _, ...row }: Row): Row {
  return row;
}
