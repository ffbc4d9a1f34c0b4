import { hasStatusPage, statusPage, statusPageType } from '../../../shared/status-page.ts';
import type { HttpResponse } from '../../http/messages.ts';
import type { GatewayRequest } from './request.ts';

/**
 * A request that ends with a status alone before it has an upstream (`kong.response.exit(403)`): nginx has a page for it.
 * Kong's negotiated one for those that it takes over, else nginx's own, else nothing. gRPC clients get the outcome alone.
 */
export function bareAnswer(
  request: GatewayRequest,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  const bare = request.exit(status, undefined, headers);
  if (bare.headers.has('grpc-status')) return bare;
  if (hasStatusPage(status)) {
    return request.exit(status, statusPage(status), { ...headers, 'Content-Type': statusPageType(status) });
  }
  if (!KONGS_PAGES.has(status)) return bare;
  const page = request.errorPage(status);
  for (const [name, value] of Object.entries(headers)) page.headers.set(name, value);
  return page;
}

const KONGS_PAGES: ReadonlySet<number> = new Set([400, 404, 405, 408, 411, 412, 413, 414, 417, 500, 502, 503, 504]);
