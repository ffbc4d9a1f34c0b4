/**
 * The egress process: performs the upstream requests that the runtime's own fetch cannot express, and what plugins ask of the
 * machine. It ends with the process that started it.
 */
import { connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { isMessage } from '../supervision/message.ts';
import { EGRESS_DESCRIPTOR, type EgressStart, type FromEgress } from './messages.ts';
import { egressServer } from './server.ts';

function serve({ relays, secrets, ...options }: EgressStart): void {
  for (const [place, { host, port }] of relays.entries()) relay(EGRESS_DESCRIPTOR + 1 + place, host, port);
  egressServer({
    ...options,
    secrets: { ...secrets, variables: { ...process.env, ...secrets.variables } },
    onIdentity: (name, text) => tell({ type: 'identity', name, text }),
  }).listen({ fd: EGRESS_DESCRIPTOR }, () => tell({ type: 'ready' }));
}

/** Raw TCP onwards, the name resolved for every connection: workerd itself resolves a fixed address once, at start. */
function relay(descriptor: number, host: string, port: number): void {
  createTcpServer({ allowHalfOpen: true }, (inner) => {
    const outer = connectTcp({ host, port, allowHalfOpen: true });
    inner.pipe(outer);
    outer.pipe(inner);
    inner.on('error', () => outer.destroy());
    outer.on('error', () => inner.destroy());
    inner.on('close', () => outer.destroy());
    outer.on('close', () => inner.destroy());
  }).listen({ fd: descriptor });
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
