import type { Socket } from 'node:dgram';

/** What stands behind a UDP socket: Node has no public way to its descriptor, nor one to have it wait without being closed. */
export function udpHandle(socket: Socket): unknown {
  const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  return state === undefined ? null : Reflect.get(Object(Reflect.get(socket, state)), 'handle');
}

/** Takes no more datagrams, so that others who have the socket get them; it can still send. */
export function stopReceiving(socket: Socket): void {
  const handle = Object(udpHandle(socket));
  const stop: unknown = Reflect.get(handle, 'recvStop');
  if (typeof stop === 'function') Reflect.apply(stop, handle, []);
}
