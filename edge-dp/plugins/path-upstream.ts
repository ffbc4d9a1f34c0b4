import { normalizePath } from '../../shared/normalize-path.ts';
import { upstreamPath } from '../router/upstream-path.ts';
import type { GatewayRequest } from './runtime/request.ts';

/** The path that route and service make of the request's (`ngx.var.upstream_uri`), what request-transformer made of it included. */
export function pathUpstream({ rawPath, matchedPath, route, service, upstream }: GatewayRequest): string {
  const servicePath = service?.row.path;
  return (
    upstream.path ??
    upstreamPath({
      servicePath: typeof servicePath === 'string' ? servicePath : null,
      path: normalizePath(rawPath),
      matchedPrefix: matchedPath,
      stripPath: route?.row.strip_path !== false,
      handling: 'v0',
    })
  );
}
