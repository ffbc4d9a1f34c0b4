/**
 * The egress process: performs the upstream requests that the runtime's own fetch cannot express, and what plugins ask of the
 * machine. It ends with the process that started it.
 */
import { messageOf } from '../../../shared/thrown.ts';
import { Environment } from '../environment.ts';
import { NO_SECRETS } from '../options.ts';
import { isMessage } from '../supervision/message.ts';
import { EGRESS_DESCRIPTOR, type EgressChange, type EgressStart, type FromEgress } from './messages.ts';
import { Relays } from './relays.ts';
import { egressServer } from './server.ts';

const relays = new Relays(EGRESS_DESCRIPTOR + 1);
const environment = new Environment(NO_SECRETS);

async function goBy({ relays: wanted, secrets }: EgressStart | EgressChange): Promise<void> {
  environment.change({ ...secrets, variables: { ...process.env, ...secrets.variables } });
  await relays.goBy(wanted);
}

function serve(options: EgressStart): void {
  const server = egressServer({
    ...options,
    environment,
    onIdentity: (name, text) => tell({ type: 'identity', name, text }),
  });
  server.on('error', (error) => {
    console.error(`the egress process cannot listen: ${error.message}`);
    if (!server.listening) process.exit(1);
  });
  server.listen({ fd: EGRESS_DESCRIPTOR }, () => tell({ type: 'ready' }));
}

function tell(message: FromEgress): void {
  process.send?.(message, () => {});
}

process.on('message', (message) => {
  if (!isMessage<EgressStart | EgressChange>(message)) return;
  void goBy(message)
    .catch((error: unknown) => console.error(`relays: ${messageOf(error)}`))
    .then(() => (message.type === 'start' ? serve(message) : tell({ type: 'changed' })));
});
// One thing's fault: everything else that goes through here goes on.
process.on('uncaughtException', (error) => console.error('not caught by the egress process:', error));
process.on('unhandledRejection', (error) => console.error('not handled by the egress process:', error));
process.on('disconnect', () => process.exit());
process.on('SIGTERM', () => process.exit());
// A terminal's interrupt goes to the whole group; the host decides when this process ends.
process.on('SIGINT', () => {});
