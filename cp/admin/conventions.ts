import type { Context, MiddlewareHandler } from 'hono';
import { KONG_VERSION } from '../../shared/version.ts';
import type { Arrival, BrowserGuard } from '../listeners/browser-guard.ts';
import { SERIAL } from './cluster/freshness.ts';
import { WITHHELD } from './cluster/unreached.ts';

/** The headers every answer of Kong's Admin API carries; browsers get what `guard` lets them have. */
export function kongHeaders(guard: BrowserGuard): MiddlewareHandler<{ Bindings: Arrival }> {
  return async function addKongHeaders(c, next) {
    const start = performance.now();
    const verdict = guard.judge(c.req.raw, c.env);
    if (verdict.kind === 'refused') c.res = c.json({ message: verdict.reason }, 403);
    else await next();
    const { headers } = c.res;
    headers.set('Server', `kong/${KONG_VERSION}`);
    headers.set('X-Kong-Admin-Latency', String(Math.round(performance.now() - start)));
    headers.append('Vary', 'Origin');
    if (verdict.kind === 'foreign') hideFromPage(headers);
    else if (verdict.kind === 'welcome' && verdict.origin !== null) {
      headers.set('Access-Control-Allow-Origin', verdict.origin);
      headers.set('Access-Control-Allow-Credentials', 'true');
      const own = [SERIAL, WITHHELD, 'ETag'].filter((name) => headers.has(name));
      if (own.length > 0) headers.set('Access-Control-Expose-Headers', own.join(', '));
    }
  };
}

/** The page's browser gives it nothing of the answer, not even as an image or a script. */
function hideFromPage(headers: Headers): void {
  headers.delete('Access-Control-Allow-Methods');
  headers.delete('Access-Control-Allow-Headers');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  headers.set('X-Content-Type-Options', 'nosniff');
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
