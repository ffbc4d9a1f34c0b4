import { requestFacts } from '../proxy/failure-line.ts';
import type { Place } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import type { Services } from './runtime/services.ts';

/** A configured plugin, as its lines name it. */
export interface PluginSite {
  readonly plugin: string;
  readonly place: Place;
}

/** Says in the node's log what went wrong in a plugin with a request, and which request that was. */
export function tellProblem(
  { log }: Services,
  { plugin, place }: PluginSite,
  request: GatewayRequest,
  problem: string,
): void {
  log('error', `request ${request.id}: plugin ${plugin} (${place.id}): ${problem} (${requestFacts(request)})`);
}
