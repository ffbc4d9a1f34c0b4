import type { ProxyContext } from './request-context.ts';

/** Whom a request was about to reach. */
interface UpstreamAddress {
  readonly host: string;
  readonly port: number;
}

/** What the log says of a request before it says what went wrong with it. */
export function requestWords(context: ProxyContext, upstream: UpstreamAddress | null = null): string {
  return `request ${context.id}: ${requestFacts(context, upstream)}`;
}

/**
 * Method, path (no query, which may hold credentials), client, route, service and the upstream's address, as far as they are
 * known.
 */
export function requestFacts(context: ProxyContext, upstream: UpstreamAddress | null = null): string {
  const { method, rawPath, client, route, service } = context;
  const words = [`${method} ${rawPath.slice(0, LONGEST)}`];
  if (client.ip !== '') words.push(`client ${client.ip}`);
  if (route !== null) words.push(`route ${route.name ?? route.id}`);
  if (service !== null) words.push(`service ${service.name ?? service.id}`);
  if (upstream !== null) words.push(`upstream ${addressText(upstream)}`);
  return words.join(', ');
}

const LONGEST = 1000;

/** `10.0.0.1:80`, `[::1]:80`. */
export function addressText({ host, port }: UpstreamAddress): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]:${port}` : `${host}:${port}`;
}
