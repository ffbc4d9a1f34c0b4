/**
 * The egress process: performs the upstream requests that the runtime's own fetch cannot express, and what plugins ask of the
 * machine. It ends with the process that started it.
 */
import { isMessage } from '../supervision/message.ts';
import { EGRESS_DESCRIPTOR, type EgressStart, type FromEgress } from './messages.ts';
import { relay } from './relay.ts';
import { egressServer } from './server.ts';

function serve({ relays, secrets, ...options }: EgressStart): void {
  for (const [place, target] of relays.entries()) relay(target).listen({ fd: EGRESS_DESCRIPTOR + 1 + place });
  egressServer({
    ...options,
    secrets: { ...secrets, variables: { ...process.env, ...secrets.variables } },
    onIdentity: (name, text) => tell({ type: 'identity', name, text }),
  }).listen({ fd: EGRESS_DESCRIPTOR }, () => tell({ type: 'ready' }));
}

function tell(message: FromEgress): void {
  process.send?.(message, () => {});
}

process.on('message', (message) => {
  if (isMessage<EgressStart>(message)) serve(message);
});
process.on('disconnect', () => process.exit());
process.on('SIGTERM', () => process.exit());
// A terminal's interrupt goes to the whole group; the host decides when this process ends.
process.on('SIGINT', () => {});
