import type { RouterRequest } from '../../../edge-dp/router/request.ts';
import type { RouteRow } from '../../../edge-dp/router/route-row.ts';

/** A request to the router in short form. */
export interface RequestSketch {
  readonly method?: string;
  readonly host?: string | null;
  readonly scheme?: 'http' | 'https';
  readonly sni?: string | null;
  /** With its query. */
  readonly target?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly sourceIp?: string;
  readonly sourcePort?: number;
  readonly destinationIp?: string;
  readonly destinationPort?: number;
  readonly edge?: Readonly<Record<string, unknown>>;
}

export function request(sketch: RequestSketch): RouterRequest {
  const [path = '/', ...query] = (sketch.target ?? '/').split('?');
  const headers = new Map(
    Object.entries(sketch.headers ?? {}).map(([name, value]) => [
      name.toLowerCase(),
      typeof value === 'string' ? [value] : value,
    ]),
  );
  return {
    method: sketch.method ?? 'GET',
    host: sketch.host === undefined ? 'nohost.test' : sketch.host,
    scheme: sketch.scheme ?? 'http',
    sni: sketch.sni ?? null,
    path,
    query: query.join('?'),
    header: (name) => headers.get(name) ?? null,
    sourceIp: sketch.sourceIp ?? '127.0.0.1',
    sourcePort: sketch.sourcePort ?? 50000,
    destinationIp: sketch.destinationIp ?? '127.0.0.1',
    destinationPort: sketch.destinationPort ?? 8000,
    edge: sketch.edge ?? {},
  };
}

/** A route of http and https with the given fields. */
export function route(id: string, fields: Partial<RouteRow>): RouteRow {
  return { id, protocols: ['http', 'https'], ...fields };
}
