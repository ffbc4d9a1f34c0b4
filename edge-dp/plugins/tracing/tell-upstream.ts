import { traceIds } from '../log-entry.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import type { Found, Propagation } from './propagation.ts';
import type { Outgoing } from './trace-context.ts';

/** Writes the trace into the headers for the upstream, and its id into the log entry. `found`: what the client said of it. */
export function tellUpstream(
  request: GatewayRequest,
  propagation: Propagation,
  found: Found | null,
  span: Pick<Outgoing, 'traceId' | 'spanId' | 'parentId' | 'sampled'>,
): void {
  const said = found?.context ?? null;
  const context = {
    ...span,
    fresh: said?.traceId == null,
    debug: said?.debug === true,
    baggage: said?.baggage ?? [],
  };
  const written = propagation.inject(request.headers, context, found);
  // What another plugin has told the upstream stands there, too.
  if (Object.keys(written).length > 0) traceIds.set(request, { ...traceIds.get(request), ...written });
}
