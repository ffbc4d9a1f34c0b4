import { judgeBrowser } from '../../shared/browser-guard.ts';
import type { Isolate } from '../config/isolate.ts';
import type { Env } from '../env.ts';
import { json, type StatusRoute } from './routes.ts';

interface Answering {
  readonly isolate: Isolate;
  readonly routes: readonly StatusRoute[];
  readonly env: Env;
  readonly waitUntil: (work: Promise<unknown>) => void;
  /** Only this machine reaches the listener. */
  readonly loopback: boolean;
}

/** Answers one request of the Status API. Pages of the web may have nothing of it. */
export async function answerStatus(
  request: Request,
  { isolate, routes, env, waitUntil, loopback }: Answering,
): Promise<Response> {
  const refused = refusedToBrowser(request, env.SETTINGS.status.allowedHosts, loopback);
  if (refused !== null) return json({ message: refused }, 403);
  const url = new URL(request.url);
  // Kong takes a slash at the end of any path.
  const pathname = url.pathname.replace(/(?<=.)\/$/, '');
  for (const route of routes) {
    const match = patternOf(route).exec({ pathname });
    if (match === null) continue;
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const answer = method === 'GET' ? route.GET : method === 'POST' ? route.POST : undefined;
    if (answer === undefined) return json({ message: 'Method not allowed' }, 405);
    const live = await isolate.config(env, waitUntil);
    return answer({ request, url, env, isolate, live, waitUntil, parameters: match.pathname.groups });
  }
  return json({ message: 'Not found' }, 404);
}

const patterns = new WeakMap<StatusRoute, URLPattern>();

/** Compiled when it is first asked for: all of them take a twentieth of what a Worker takes to be there. */
function patternOf(route: StatusRoute): URLPattern {
  const known = patterns.get(route);
  if (known !== undefined) return known;
  const pattern = new URLPattern({ pathname: route.path });
  patterns.set(route, pattern);
  return pattern;
}

/** Why a request that a browser may have sent for a page is refused, or null. */
function refusedToBrowser(
  { method, headers }: Request,
  allowedHosts: readonly string[],
  loopback: boolean,
): string | null {
  const verdict = judgeBrowser(
    {
      method,
      host: headers.get('host'),
      origin: headers.get('origin'),
      fetchSite: headers.get('sec-fetch-site'),
      loopback,
    },
    {
      names: new Set(allowedHosts),
      namesSetting: 'status_allowed_hosts',
      allows: () => false,
      remedy: 'the Status API is not for browsers',
    },
  );
  return verdict.kind === 'refused' ? verdict.reason : null;
}
