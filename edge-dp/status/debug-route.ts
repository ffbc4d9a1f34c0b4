import { recordOrEmpty } from '../../shared/record.ts';
import type { LiveConfig } from '../config/live.ts';
import { FieldList } from '../http/fields.ts';
import type { ExplainedRequest, RequestExplanation } from '../proxy/explanation.ts';
import { json, type StatusRequest, type StatusRoute } from './routes.ts';

/**
 * `POST /debug/route`: where a request would go and why. The body describes it; all but `path` may be left out:
 *
 *     {"method": "GET", "host": "example.com", "path": "/a?b=c", "scheme": "http", "headers": {"x-a": ["1"]},
 *      "sni": null, "source_ip": null, "source_port": null, "destination_port": null, "consumer": "<id>"}
 */
export const debugRoutes: readonly StatusRoute[] = [{ path: '/debug/route', POST: debugRoute }];

async function debugRoute({ request, live }: StatusRequest): Promise<Response> {
  let body: unknown;
  try {
    body = await request.json();
  } catch {
    return json({ message: 'Cannot parse JSON body' }, 400);
  }
  const { status, body: answer } = await explain(live, body);
  return json(answer, status);
}

/** The answer to a body of `POST /debug/route`, whether it was asked here or at the control plane. */
export async function explain(
  live: LiveConfig,
  body: unknown,
): Promise<{ readonly status: number; readonly body: RequestExplanation | { readonly message: string } }> {
  const described = describe(body);
  if (typeof described === 'string') return { status: 400, body: { message: described } };
  const { request, consumer } = described;
  const groups = consumer === null ? [] : await groupsOf(live, consumer);
  return { status: 200, body: live.path.explain(request, { consumer, groups }) };
}

async function groupsOf(live: LiveConfig, consumer: string): Promise<string[]> {
  const memberships = await live.lazy.lookupAll('consumer_group_consumers', consumer);
  return memberships.flatMap(({ consumer_group: group }) => {
    const id = recordOrEmpty(group).id;
    return typeof id === 'string' ? [id] : [];
  });
}

/** The request a body describes, or what is wrong with it. */
function describe(body: unknown): { readonly request: ExplainedRequest; readonly consumer: string | null } | string {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return 'expected an object';
  const read: Readonly<Record<string, unknown>> = { ...body };
  for (const name of Object.keys(read)) if (!FIELDS.has(name)) return `${name}: unknown field`;
  for (const name of STRINGS) {
    const value = read[name];
    if (value !== undefined && value !== null && typeof value !== 'string') return `${name}: expected a string`;
  }
  for (const name of PORTS) {
    const value = read[name];
    const port = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65535;
    if (value !== undefined && value !== null && !port) return `${name}: expected a port number`;
  }
  const path = text(read.path) ?? '/';
  if (!path.startsWith('/')) return 'path: should start with: /';
  const scheme = text(read.scheme) ?? 'http';
  if (scheme !== 'http' && scheme !== 'https') return 'scheme: expected one of: http, https';
  const headers = headersOf(read.headers);
  if (headers === null) return 'headers: expected a map of strings or lists of strings';
  const lines = fieldsOf(headers);
  if (lines === null) return 'headers: expected names and values as HTTP has them';
  const question = path.indexOf('?');
  return {
    consumer: text(read.consumer),
    request: {
      method: text(read.method) ?? 'GET',
      host: text(read.host),
      scheme,
      sni: text(read.sni),
      path: question < 0 ? path : path.slice(0, question),
      query: question < 0 ? '' : path.slice(question + 1),
      headers: lines,
      header: (name) => headers.get(name) ?? null,
      sourceIp: text(read.source_ip),
      sourcePort: number(read.source_port),
      destinationIp: null,
      destinationPort: number(read.destination_port),
    },
  };
}

const STRINGS = ['method', 'host', 'path', 'scheme', 'sni', 'source_ip', 'consumer'];
const PORTS = ['source_port', 'destination_port'];
const FIELDS = new Set([...STRINGS, ...PORTS, 'headers']);

function headersOf(value: unknown): ReadonlyMap<string, readonly string[]> | null {
  const headers = new Map<string, readonly string[]>();
  if (value === undefined || value === null) return headers;
  if (typeof value !== 'object' || Array.isArray(value)) return null;
  for (const [name, item] of Object.entries(value)) {
    const list: unknown[] = Array.isArray(item) ? item : [item];
    const values = list.filter((one) => typeof one === 'string');
    if (values.length !== list.length) return null;
    headers.set(name.toLowerCase(), values);
  }
  return headers;
}

/** Null: no request could have these. */
function fieldsOf(headers: ReadonlyMap<string, readonly string[]>): FieldList | null {
  const lines = new FieldList();
  try {
    for (const [name, values] of headers) for (const value of values) lines.append(name, value);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
  return lines;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function number(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
