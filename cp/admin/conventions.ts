import type { Context, MiddlewareHandler } from 'hono';
import { KONG_VERSION } from '../../shared/version.ts';

/** The headers every answer of Kong's Admin API carries. */
export function kongHeaders(guiOrigins: readonly string[]): MiddlewareHandler {
  return async function addKongHeaders(c, next) {
    const start = performance.now();
    await next();
    const { headers } = c.res;
    headers.set('Server', `kong/${KONG_VERSION}`);
    headers.set('X-Kong-Admin-Latency', String(Math.round(performance.now() - start)));
    headers.set('Access-Control-Allow-Origin', allowedOrigin(c, guiOrigins));
    headers.set('Access-Control-Allow-Credentials', 'true');
  };
}

/** The answer to OPTIONS on a path with these methods. */
export function preflight(c: Context, methods: readonly string[]): Response {
  const allow = allowedMethods(methods);
  return c.body(null, 204, {
    Allow: allow,
    'Access-Control-Allow-Methods': allow,
    'Access-Control-Allow-Headers': c.req.header('access-control-request-headers') ?? 'Content-Type',
  });
}

/** The value of `Allow` for a path with these methods. */
export function allowedMethods(methods: readonly string[]): string {
  const all = new Set([...methods, 'OPTIONS']);
  if (all.has('GET')) all.add('HEAD');
  return [...all].sort().join(', ');
}

function allowedOrigin(c: Context, guiOrigins: readonly string[]): string {
  const origin = c.req.header('origin');
  if (guiOrigins.length === 0) return origin ?? '*';
  return origin !== undefined && guiOrigins.includes(origin) ? origin : (guiOrigins[0] ?? '*');
}
