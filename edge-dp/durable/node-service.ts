import { WorkerEntrypoint } from 'cloudflare:workers';
import { HEALTH_PATH } from '../balancer/health-messages.ts';
import type { Env } from '../env.ts';
import { linkName } from './cluster-link.ts';
import { STATE_PATH } from './state-messages.ts';

/**
 * The entrypoint behind `env.NODE`: brings an isolate's question (see `config/node.ts`, `balancer/health-messages.ts` and
 * `state-messages.ts`) to the one owner of the link, the one health checker, or the keeper of some shared state. Runs
 * where the Durable Object lives; other processes of a box reach it through their `NODE` binding.
 */
export class NodeService extends WorkerEntrypoint<Env> {
  override fetch(request: Request): Promise<Response> {
    const { LINK, HEALTH, STATE } = this.env;
    const { pathname } = new URL(request.url);
    if (pathname.startsWith(STATE_PATH)) {
      if (STATE === undefined) return Promise.resolve(new Response('no shared state', { status: 404 }));
      return STATE.get(STATE.idFromName(`${linkName(this.env)}${pathname}`)).fetch(request);
    }
    if (pathname.startsWith(HEALTH_PATH)) {
      if (HEALTH === undefined) return Promise.resolve(new Response('no health checker', { status: 404 }));
      return HEALTH.get(HEALTH.idFromName(linkName(this.env))).fetch(request);
    }
    if (LINK === undefined) throw new Error('the link of this node is owned by another process');
    return LINK.get(LINK.idFromName(linkName(this.env))).fetch(request);
  }
}
