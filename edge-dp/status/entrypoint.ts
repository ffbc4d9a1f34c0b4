import { WorkerEntrypoint } from 'cloudflare:workers';
import { judgeBrowser } from '../../shared/browser-guard.ts';
import type { Isolate } from '../config/isolate.ts';
import type { Env } from '../env.ts';
import type { WorkerSettings } from '../settings.ts';
import { logStatusRequest } from './access-log.ts';
import { RESTARTS_PATH } from './restarts.ts';
import { json, type StatusRoute } from './routes.ts';

/** What the host says about the listener a request came in on: `ctx.props` of the socket's service. */
interface ListenerProps {
  readonly listener?: { readonly scheme?: string; readonly port?: number; readonly loopback?: boolean };
}

/**
 * The entrypoint of `status_listen`: hosts give it a socket of its own, so that nothing a client sends to the proxy can
 * reach it. Read-only apart from draining; pages of the web may have nothing of it.
 */
export function statusEntrypoint(
  isolate: Isolate,
  routes: readonly StatusRoute[],
): new (
  context: ExecutionContext,
  env: Env,
) => WorkerEntrypoint<Env> {
  return class Status extends WorkerEntrypoint<Env, ListenerProps> {
    override async fetch(request: Request): Promise<Response> {
      const startedAt = Date.now();
      const listener = this.ctx.props?.listener;
      if (listener === undefined && this.#isSupervised && new URL(request.url).pathname === RESTARTS_PATH) {
        isolate.restarts = Number(await request.text());
        return new Response(null, { status: 204 });
      }
      const response = await this.#answer(request);
      const waitUntil = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
      // What the host itself asks comes by no listener.
      if (listener !== undefined) logStatusRequest(this.env, { request, response, startedAt, listener, waitUntil });
      return response;
    }

    /** Where what comes by no listener comes from the supervisor of this process. */
    get #isSupervised(): boolean {
      const { host } = this.env.SETTINGS.node;
      return host === 'workerd' || host === 'node';
    }

    async #answer(request: Request): Promise<Response> {
      const refused = refusedToBrowser(request, this.env.SETTINGS.status, this.ctx.props);
      if (refused !== null) return json({ message: refused }, 403);
      const url = new URL(request.url);
      for (const route of routes) {
        const match = route.path.exec({ pathname: url.pathname });
        if (match === null) continue;
        const method = request.method === 'HEAD' ? 'GET' : request.method;
        const answer = method === 'GET' ? route.GET : method === 'POST' ? route.POST : undefined;
        if (answer === undefined) return json({ message: 'Method not allowed' }, 405);
        const waitUntil = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
        const live = await isolate.config(this.env, waitUntil);
        const { groups } = match.pathname;
        return answer({ request, url, env: this.env, isolate, live, waitUntil, parameters: groups });
      }
      return json({ message: 'Not found' }, 404);
    }
  };
}

/** Why a request that a browser may have sent for a page is refused, or null. */
function refusedToBrowser(
  { method, headers }: Request,
  { allowedHosts, loopback }: WorkerSettings['status'],
  props: ListenerProps | undefined,
): string | null {
  const verdict = judgeBrowser(
    {
      method,
      host: headers.get('host'),
      origin: headers.get('origin'),
      fetchSite: headers.get('sec-fetch-site'),
      loopback: props?.listener?.loopback ?? loopback,
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
