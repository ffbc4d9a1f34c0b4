import { WorkerEntrypoint } from 'cloudflare:workers';
import type { Isolate } from '../config/isolate.ts';
import type { Env } from '../env.ts';
import { logStatusRequest } from './access-log.ts';
import { answerStatus } from './answer.ts';
import { RESTARTS_PATH } from './restarts.ts';
import type { StatusRoute } from './routes.ts';

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
) => WorkerEntrypoint<Env> & { fetch(request: Request): Promise<Response> } {
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

    /** Where what comes by no listener comes from the supervisor of this process; on Node that needs no request. */
    get #isSupervised(): boolean {
      return this.env.SETTINGS.node.host === 'workerd';
    }

    #answer(request: Request): Promise<Response> {
      const { env } = this;
      const loopback = this.ctx.props?.listener?.loopback ?? env.SETTINGS.status.loopback;
      const waitUntil = (work: Promise<unknown>): void => this.ctx.waitUntil(work);
      return answerStatus(request, { isolate, routes, env, waitUntil, loopback });
    }
  };
}
