import { LONGEST_TARGET, packShape, type RequestShape } from '../../shared/cluster/replay.ts';
import { isRecord, type Row } from '../../shared/record.ts';

/** What is wrong with requests that were given, and where. */
export class RequestsFault extends Error {}

/** Requests from a list, a HAR or an access log. */
export interface GivenRequests {
  /** Each once, with how many looked like it. */
  readonly shapes: readonly RequestShape[];
  /** Entries that are no request a gateway could have had, such as `data:` URLs and lines of broken requests. */
  readonly skipped: number;
  /** Of the first of them, in words. */
  readonly reason: string | null;
}

/** Different requests in one replay. */
export const MOST_SHAPES = 100_000;

/** Puts requests that look alike together. Throws `RequestsFault` when there are too many different ones. */
export class Gathered {
  readonly #shapes = new Map<string, RequestShape>();
  #skipped = 0;
  #reason: string | null = null;

  add(shape: RequestShape): void {
    const key = JSON.stringify(packShape({ ...shape, count: 1 }));
    const before = this.#shapes.get(key);
    this.#shapes.set(key, before === undefined ? shape : { ...before, count: before.count + shape.count });
    if (this.#shapes.size > MOST_SHAPES) {
      throw new RequestsFault(`more than ${MOST_SHAPES} different requests: replay them in parts`);
    }
  }

  skip(reason: string): void {
    this.#skipped++;
    this.#reason ??= reason;
  }

  /** `what` they are, for when there is none. */
  done(what: string): GivenRequests {
    if (this.#shapes.size === 0) {
      throw new RequestsFault(`no request in ${what}${this.#reason === null ? '' : `: ${this.#reason}`}`);
    }
    return { shapes: [...this.#shapes.values()], skipped: this.#skipped, reason: this.#reason };
  }
}

const FIELDS = new Set([
  ...['method', 'scheme', 'forwarded_proto', 'host', 'sni', 'path', 'query', 'headers', 'all_headers'],
  ...['source_ip', 'version', 'count'],
]);

/** Reads `requests` of `POST /releases/{release}/replay`. Throws `RequestsFault` naming what is wrong. */
export function readRequestList(value: unknown): GivenRequests {
  if (!Array.isArray(value)) throw new RequestsFault('requests: expected a list');
  const gathered = new Gathered();
  for (const [at, one] of value.entries()) gathered.add(requestIn(one, `requests[${at}]`));
  return gathered.done('the list');
}

function requestIn(value: unknown, where: string): RequestShape {
  if (!isRecord(value)) throw new RequestsFault(`${where}: expected an object`);
  for (const name of Object.keys(value)) {
    if (!FIELDS.has(name)) throw new RequestsFault(`${where}.${name.slice(0, 64)}: unknown field`);
  }
  const text = (name: string): string | null => optionalText(value, name, where);
  const scheme = oneOf(text('scheme') ?? 'http', ['http', 'https'], `${where}.scheme`);
  const target = text('path') ?? '/';
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  const inPath = question < 0 ? '' : target.slice(question + 1);
  const { count = 1, all_headers: all = true } = value;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 1 || count > 1e9) {
    throw new RequestsFault(`${where}.count: expected a whole number from 1 to 1000000000`);
  }
  if (typeof all !== 'boolean') throw new RequestsFault(`${where}.all_headers: expected a boolean`);
  return checked(
    {
      method: text('method') ?? 'GET',
      scheme,
      forwardedProto: text('forwarded_proto') ?? scheme,
      host: text('host'),
      sni: text('sni'),
      path,
      query: value.query === null ? null : (text('query') ?? inPath),
      headers: headersIn(value.headers, `${where}.headers`),
      allHeaders: all,
      sourceIp: text('source_ip'),
      version: text('version') ?? '1.1',
      count,
    },
    where,
  );
}

/** The same shape, if it is one that a request can have. Throws `RequestsFault`. */
export function checked(shape: RequestShape, where: string): RequestShape {
  const { method, path, query, host, sni, headers } = shape;
  if (!TOKEN.test(method) || method.length > 32) throw new RequestsFault(`${where}.method: ${quoted(method)} is none`);
  if (!path.startsWith('/')) throw new RequestsFault(`${where}.path: should start with: /`);
  if (path.length + (query?.length ?? 0) > LONGEST_TARGET) {
    throw new RequestsFault(`${where}.path: longer than ${LONGEST_TARGET} characters, which no data plane takes`);
  }
  plain(path, `${where}.path`);
  plain(query ?? '', `${where}.query`);
  plain(host ?? '', `${where}.host`);
  plain(sni ?? '', `${where}.sni`);
  for (const [name, value] of Object.entries(headers)) {
    const at = `${where}.headers.${TOKEN.test(name) ? name.slice(0, 64) : quoted(name)}`;
    if (!TOKEN.test(name)) throw new RequestsFault(`${at}: is no name of a header`);
    if (value !== null && /[\r\n\0]/.test(value)) throw new RequestsFault(`${at}: has a line break, or NUL`);
    if (value !== null && value.length > LONGEST_TARGET) {
      throw new RequestsFault(`${at}: longer than ${LONGEST_TARGET} characters`);
    }
  }
  // Of a client that says nothing else, the server name is the host's.
  return shape.scheme === 'https' && sni === null ? { ...shape, sni: nameIn(host) } : shape;
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** A request target and a host are of visible ASCII. */
function plain(text: string, where: string): void {
  const at = text.search(/[^\x21-\x7e]/);
  if (at < 0) return;
  const code = (text.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  throw new RequestsFault(
    `${where}: has U+${code} at character ${at + 1}, which stands in no request: percent-encode it`,
  );
}

function nameIn(host: string | null): string | null {
  const name = host?.replace(/:\d*$/, '') ?? '';
  return name === '' || name.startsWith('[') || /^[\d.]+$/.test(name) ? null : name;
}

function headersIn(value: unknown, where: string): Record<string, string | null> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) throw new RequestsFault(`${where}: expected a map of strings or lists of strings`);
  const headers: Record<string, string | null> = {};
  for (const [name, one] of Object.entries(value)) {
    const lines = one === null ? null : Array.isArray(one) ? one : [one];
    if (lines !== null && !lines.every((line) => typeof line === 'string')) {
      throw new RequestsFault(
        `${where}.${name.slice(0, 64)}: expected a string, a list of strings, or null for one that is not known`,
      );
    }
    headers[name.toLowerCase()] = lines === null ? null : lines.join(', ');
  }
  return headers;
}

function optionalText(row: Row, name: string, where: string): string | null {
  const value = row[name];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') throw new RequestsFault(`${where}.${name}: expected a string`);
  return value;
}

function oneOf<const T extends string>(value: string, allowed: readonly T[], where: string): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new RequestsFault(`${where}: expected one of: ${allowed.join(', ')}`);
  return found;
}

/** Short enough for a message, and visible. */
export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 64)).replaceAll(
    /[^\x20-\x7e]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
