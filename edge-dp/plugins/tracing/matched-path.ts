import type { GatewayRequest } from '../runtime/request.ts';

/** The path of the request's route that it matched, as the route has it; null: the route has none. */
export function matchedPath({ route, rawPath }: GatewayRequest): string | null {
  const paths = route?.row.paths;
  if (!Array.isArray(paths)) return null;
  const all = paths.filter((path) => typeof path === 'string');
  const prefixes = all.filter((path) => !path.startsWith('~') && rawPath.startsWith(path));
  const [longest] = prefixes.toSorted((a, b) => b.length - a.length);
  return longest ?? all.find((path) => path.startsWith('~'))?.slice(1) ?? all[0] ?? null;
}
