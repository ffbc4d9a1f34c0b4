import { isLoopback } from '../../shared/browser-guard.ts';
import type { Isolate } from '../config/isolate.ts';
import { unfinished } from '../config/unfinished.ts';
import type { Env } from '../env.ts';
import { sameText } from '../plugins/constant-time.ts';
import { answerStatus } from './answer.ts';
import { json, type StatusRoute } from './routes.ts';

type WaitUntil = (work: Promise<unknown>) => void;

/** What the Worker answers on Cloudflare that is no client's request to be proxied; null for those that are. */
export type EdgeRequests = (request: Request, env: Env, waitUntil: WaitUntil) => Promise<Response> | Response | null;

/**
 * On Cloudflare every request comes in at one place: those to the Status API, at the path and with the token of the settings, and all of
 * them while the configuration is not finished.
 */
export function edgeRequests(isolate: Isolate, routes: readonly StatusRoute[]): EdgeRequests {
  let lacking: readonly string[] | null = null;
  return (request, env, waitUntil) => {
    if (lacking === null) {
      lacking = unfinished(env);
      if (lacking.length > 0) console.error(`${UNFINISHED}: ${lacking.join('; ')}`);
    }
    if (lacking.length > 0) return json({ message: UNFINISHED, unfinished: lacking }, 503);
    if (env.SETTINGS.developmentLink === true && !isLoopback(request.headers.get('cf-connecting-ip') ?? '')) {
      return json({ message: ELSEWHERE }, 503);
    }
    const { path } = env.SETTINGS.status;
    if (path === undefined) return null;
    const url = new URL(request.url);
    if (!url.pathname.startsWith(`${path}/`)) return null;
    if (!authorized(request, env.STATUS_TOKEN)) {
      const refusal = json({ message: 'Unauthorized' }, 401);
      refusal.headers.set('www-authenticate', 'Bearer');
      return refusal;
    }
    // What is said to one isolate of many is said to none.
    if (request.method !== 'GET' && request.method !== 'HEAD') return json({ message: 'Method not allowed' }, 405);
    url.pathname = url.pathname.slice(path.length);
    return answerStatus(new Request(url, request), { isolate, routes, env, waitUntil, loopback: false });
  };
}

/** Cloudflare lets nobody say that he is at a loopback address. */
const ELSEWHERE =
  "this Worker is for 'wrangler dev' (SETTINGS.developmentLink) and serves the machine it runs on alone: deploy what 'holdfast edge init' writes";

const UNFINISHED = "the configuration of this Worker is not finished, see 'holdfast edge check'";

function authorized({ headers }: Request, token: string | undefined): boolean {
  const [, sent] = /^bearer +(.+)$/i.exec(headers.get('authorization') ?? '') ?? [];
  return token !== undefined && token !== '' && sent !== undefined && sameText(token, sent);
}
