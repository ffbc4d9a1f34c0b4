/** What an access log may tell of a request that is over. What is null is not known, or is not there. */
export interface LogFacts {
  readonly client: { readonly ip: string; readonly port: number | null };
  readonly method: string;
  /** As received: path and query. */
  readonly target: string;
  /** `HTTP/1.1`. */
  readonly protocol: string;
  readonly scheme: string;
  readonly port: number | null;
  /** As sent to the client; 499: it was gone. */
  readonly status: number;
  /** Bytes of the answer's body, and of the request and the answer as a whole. */
  readonly bodyBytes: number | null;
  readonly requestBytes: number | null;
  readonly answerBytes: number | null;
  /** Milliseconds. */
  readonly took: number;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
  readonly requestId: string | null;
  header(name: string): string | null;
  answerHeader(name: string): string | null;
  /** Each attempt in order. */
  readonly tries: readonly { readonly address: string; readonly status: string }[];
  /** Milliseconds until the head of the upstream's answer. */
  readonly upstreamTook: number | null;
  readonly route: string | null;
  readonly service: string | null;
  readonly consumer: string | null;
}

type Variable = (facts: LogFacts) => string | null;

/** nginx's variables that are known here, Kong's `kong_request_id`, and route, service and consumer by name. */
const VARIABLES: Readonly<Record<string, Variable>> = {
  remote_addr: ({ client }) => client.ip,
  remote_port: ({ client }) => text(client.port),
  remote_user: (facts) => userOf(facts.header('authorization')),
  time_local: ({ endedAt }) => localTime(endedAt),
  time_iso8601: ({ endedAt }) => isoTime(endedAt),
  msec: ({ endedAt }) => seconds(endedAt),
  request: ({ method, target, protocol }) => `${method} ${target} ${protocol}`,
  request_method: ({ method }) => method,
  request_uri: ({ target }) => target,
  uri: ({ target }) => target.split('?', 1)[0] ?? target,
  args: ({ target }) => queryOf(target),
  query_string: ({ target }) => queryOf(target),
  is_args: ({ target }) => (queryOf(target) === null ? '' : '?'),
  server_protocol: ({ protocol }) => protocol,
  scheme: ({ scheme }) => scheme,
  host: (facts) => (facts.header('host') ?? '').toLowerCase().replace(/:\d*$/, ''),
  server_port: ({ port }) => text(port),
  status: ({ status }) => String(status),
  body_bytes_sent: ({ bodyBytes }) => text(bodyBytes),
  bytes_sent: ({ answerBytes }) => text(answerBytes),
  request_length: ({ requestBytes }) => text(requestBytes),
  request_time: ({ took }) => seconds(took),
  content_type: (facts) => facts.header('content-type'),
  content_length: (facts) => facts.header('content-length'),
  request_id: ({ requestId }) => requestId,
  kong_request_id: ({ requestId }) => requestId,
  upstream_addr: ({ tries }) => joined(tries.map(({ address }) => address)),
  upstream_status: ({ tries }) => joined(tries.map(({ status }) => status)),
  upstream_response_time: ({ upstreamTook }) => (upstreamTook === null ? null : seconds(upstreamTook)),
  route_name: ({ route }) => route,
  service_name: ({ service }) => service,
  consumer_name: ({ consumer }) => consumer,
};

/** Families: a header of the request, one of the answer, an argument of the query, a cookie. */
const FAMILIES: readonly (readonly [prefix: string, of: (name: string) => Variable])[] = [
  ['sent_http_', (name) => ofField(name, (facts, field) => facts.answerHeader(field))],
  ['http_', (name) => ofField(name, (facts, field) => facts.header(field))],
  ['arg_', (name) => (facts) => argument(queryOf(facts.target), name)],
  ['cookie_', (name) => (facts) => cookie(facts.header('cookie'), name)],
];

export function isLogVariable(name: string): boolean {
  return found(name) !== null;
}

/** Throws for a name that is not known. */
export function variable(name: string): Variable {
  const known = found(name);
  if (known === null) throw new Error(`unknown "${name}" variable`);
  return known;
}

function found(name: string): Variable | null {
  if (Object.hasOwn(VARIABLES, name)) return VARIABLES[name] ?? null;
  for (const [prefix, of] of FAMILIES) {
    if (name.startsWith(prefix) && name.length > prefix.length) return of(name.slice(prefix.length));
  }
  return null;
}

function text(value: number | null): string | null {
  return value === null ? null : String(value);
}

function joined(values: readonly string[]): string | null {
  return values.length === 0 ? null : values.join(', ');
}

/** With milliseconds. */
function seconds(milliseconds: number): string {
  return (Math.max(milliseconds, 0) / 1000).toFixed(3);
}

function ofField(name: string, read: (facts: LogFacts, field: string) => string | null): Variable {
  const field = name.replaceAll('_', '-');
  return (facts) => read(facts, field);
}

function queryOf(target: string): string | null {
  const at = target.indexOf('?');
  return at < 0 || at === target.length - 1 ? null : target.slice(at + 1);
}

/** As it was sent, not decoded. */
function argument(query: string | null, name: string): string | null {
  const own = query?.split('&').find((pair) => pair.toLowerCase().startsWith(`${name.toLowerCase()}=`));
  return own === undefined ? null : own.slice(name.length + 1);
}

function cookie(header: string | null, name: string): string | null {
  const own = header
    ?.split(';')
    .map((pair) => pair.trim())
    .find((pair) => pair.startsWith(`${name}=`));
  return own === undefined ? null : own.slice(name.length + 1);
}

/** The name of Basic credentials, without their password. */
function userOf(authorization: string | null): string | null {
  if (authorization === null) return null;
  const [, encoded] = /^basic +([\w+/=-]+)$/i.exec(authorization) ?? [];
  if (encoded === undefined) return null;
  try {
    const credentials = atob(encoded);
    const colon = credentials.indexOf(':');
    return colon < 0 ? null : credentials.slice(0, colon);
  } catch {
    return null;
  }
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The second that was written last: lines of the same second share it. */
let lastLocal = { second: -1, text: '' };

/** `28/Nov/2026:21:21:45 +0000`. */
function localTime(at: number): string {
  const second = Math.floor(at / 1000);
  if (lastLocal.second === second) return lastLocal.text;
  const date = new Date(at);
  const day = `${two(date.getDate())}/${MONTHS[date.getMonth()]}/${date.getFullYear()}`;
  const written = `${day}:${clock(date)} ${offset(date).replace(':', '')}`;
  lastLocal = { second, text: written };
  return written;
}

/** `2026-11-28T21:21:45+00:00`. */
function isoTime(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${clock(date)}${offset(date)}`;
}

function clock(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function offset(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
