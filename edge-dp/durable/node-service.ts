import { WorkerEntrypoint } from 'cloudflare:workers';
import type { Env } from '../env.ts';
import { linkName } from './cluster-link.ts';

/**
 * The entrypoint behind `env.NODE`: brings an isolate's question (see `config/node.ts`) to the one owner of the link. Runs
 * where the Durable Object lives; other processes of a box reach it through their `NODE` binding.
 */
export class NodeService extends WorkerEntrypoint<Env> {
  override fetch(request: Request): Promise<Response> {
    const { LINK } = this.env;
    if (LINK === undefined) throw new Error('the link of this node is owned by another process');
    return LINK.get(LINK.idFromName(linkName(this.env))).fetch(request);
  }
}
