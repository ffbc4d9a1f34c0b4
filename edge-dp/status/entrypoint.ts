import { WorkerEntrypoint } from 'cloudflare:workers';
import type { Isolate } from '../config/isolate.ts';
import type { Env } from '../env.ts';
import { json, type StatusRoute } from './routes.ts';

/**
 * The entrypoint of `status_listen`: hosts give it a socket of its own, so that nothing a client sends to the proxy can
 * reach it. Read-only apart from draining.
 */
export function statusEntrypoint(
  isolate: Isolate,
  routes: readonly StatusRoute[],
): new (
  context: ExecutionContext,
  env: Env,
) => WorkerEntrypoint<Env> {
  return class Status extends WorkerEntrypoint<Env> {
    override async fetch(request: Request): Promise<Response> {
      const url = new URL(request.url);
      for (const route of routes) {
        const match = route.path.exec({ pathname: url.pathname });
        if (match === null) continue;
        const method = request.method === 'HEAD' ? 'GET' : request.method;
        const answer = method === 'GET' ? route.GET : method === 'POST' ? route.POST : undefined;
        if (answer === undefined) return json({ message: 'Method not allowed' }, 405);
        const live = await isolate.config(this.env, (work) => this.ctx.waitUntil(work));
        const { groups } = match.pathname;
        return answer({ request, url, env: this.env, isolate, live, parameters: groups });
      }
      return json({ message: 'Not found' }, 404);
    }
  };
}
