import type { RequestShape } from '../../shared/cluster/replay.ts';
import { isRecord } from '../../shared/record.ts';
import { checked, Gathered, type GivenRequests, quoted, RequestsFault } from './requests.ts';

/** Whose values say who somebody is: they go no further than this. */
const CREDENTIALS = /^(authorization|proxy-authorization|cookie|x-api-key|apikey)$|token|secret|password|session/;

/**
 * The requests of a HAR (HTTP Archive 1.2), whose `log` this is; bodies, cookies and credentials are passed over. Throws `RequestsFault`
 * naming what is wrong.
 */
export function readHar(log: unknown): GivenRequests {
  const entries = isRecord(log) ? log.entries : undefined;
  if (!Array.isArray(entries)) throw new RequestsFault('log.entries: expected a list, as in a HAR');
  const gathered = new Gathered();
  for (const [at, entry] of entries.entries()) {
    const where = `log.entries[${at}].request`;
    const request = isRecord(entry) ? entry.request : undefined;
    if (!isRecord(request)) throw new RequestsFault(`${where}: expected an object`);
    if (typeof request.url !== 'string') throw new RequestsFault(`${where}.url: expected a string`);
    const url = URL.canParse(request.url) ? new URL(request.url) : null;
    const scheme = url === null ? undefined : SCHEMES[url.protocol];
    if (url === null || scheme === undefined) {
      gathered.skip(`${where}.url: ${quoted(request.url)} is no HTTP URL`);
      continue;
    }
    gathered.add(checked(shapeOf(request, url, scheme, where), where));
  }
  return gathered.done('the HAR');
}

const SCHEMES: Readonly<Record<string, 'http' | 'https'>> = {
  'http:': 'http',
  'https:': 'https',
  'ws:': 'http',
  'wss:': 'https',
};

function shapeOf(
  { method, httpVersion, headers: listed }: Readonly<Record<string, unknown>>,
  url: URL,
  scheme: 'http' | 'https',
  where: string,
): RequestShape {
  if (typeof method !== 'string') throw new RequestsFault(`${where}.method: expected a string`);
  if (listed !== undefined && !Array.isArray(listed)) throw new RequestsFault(`${where}.headers: expected a list`);
  const headers: Record<string, string | null> = {};
  let host = url.host;
  for (const [at, one] of (listed ?? []).entries()) {
    if (!isRecord(one) || typeof one.name !== 'string' || typeof one.value !== 'string') {
      throw new RequestsFault(`${where}.headers[${at}]: expected a name and a value`);
    }
    const name = one.name.toLowerCase();
    if (name === 'host' || name === ':authority') host = one.value;
    if (name === 'host' || name.startsWith(':')) continue;
    const before = headers[name];
    if (CREDENTIALS.test(name)) headers[name] = null;
    else headers[name] = typeof before === 'string' ? `${before}, ${one.value}` : one.value;
  }
  const version = typeof httpVersion === 'string' ? httpVersion.toLowerCase() : '';
  return {
    method,
    scheme,
    forwardedProto: scheme,
    host,
    sni: null,
    path: url.pathname,
    query: url.search.slice(1),
    headers,
    allHeaders: true,
    sourceIp: null,
    version: /^(http\/2|h2)/.test(version) ? '2' : /^(http\/3|h3)/.test(version) ? '3' : '1.1',
    count: 1,
  };
}
