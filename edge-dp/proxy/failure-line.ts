import type { GatewayRequest } from '../plugins/runtime/request.ts';

/** What is said of a request. */
type Told = Pick<GatewayRequest, 'id' | 'method' | 'rawPath' | 'client' | 'route' | 'service'>;

/** Whom a request was about to reach. */
interface UpstreamAddress {
  readonly host: string;
  readonly port: number;
}

/** What the log says of a request before it says what went wrong with it. */
export function requestWords(request: Told, upstream: UpstreamAddress | null = null): string {
  return `request ${request.id}: ${requestFacts(request, upstream)}`;
}

/**
 * Method, path (no query, which may hold credentials), client, route, service and the upstream's address, as far as they are
 * known.
 */
export function requestFacts(request: Told, upstream: UpstreamAddress | null = null): string {
  const { method, rawPath, client, route, service } = request;
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
