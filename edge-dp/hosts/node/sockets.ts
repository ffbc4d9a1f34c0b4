import type { PlannedListener } from '../supervision/listeners.ts';
import type { PlannedSocket } from '../supervision/messages.ts';
import { SupervisorProcess } from '../supervision/supervisor-process.ts';
import { NODE_SOCKET } from './messages.ts';

/** A node's sockets in the order they are opened in, with the supervisor's descriptors of them. */
export function nodeSockets(listeners: readonly PlannedListener[]): readonly PlannedSocket[] {
  return [
    ...listeners.map(({ name, service, udp }, place) => ({
      name,
      descriptor: SupervisorProcess.descriptorAt(place),
      servedBy: udp?.process ?? (service === 'status' ? ('first' as const) : ('all' as const)),
      udp: udp !== null,
      tls: null,
    })),
    {
      name: NODE_SOCKET,
      descriptor: SupervisorProcess.descriptorAt(listeners.length),
      servedBy: 'first' as const,
      tls: null,
    },
  ];
}
