import { EGRESS_ORIGIN } from './egress/protocol.ts';
import type { Arrival } from './request-path.ts';

/** Whether a client has closed its connection, as far as anybody can tell. */
export type ClosedByClient = (arrival: Pick<Arrival, 'peerIp' | 'peerPort' | 'localPort'>) => Promise<boolean>;

/** Asks the host's egress process: the runtime itself does not notice an ordinary close while a client waits. */
export function closedByClient(egress: Pick<Fetcher, 'fetch'>): ClosedByClient {
  return async ({ peerIp, peerPort, localPort }) => {
    if (peerIp === null || peerPort === null || localPort === null) return false;
    const path = `/connections/${encodeURIComponent(peerIp)}/${peerPort}?to=${localPort}`;
    try {
      const answer = await egress.fetch(`${EGRESS_ORIGIN}${path}`);
      await answer.body?.cancel();
      return answer.status === 410;
    } catch {
      return false;
    }
  };
}
