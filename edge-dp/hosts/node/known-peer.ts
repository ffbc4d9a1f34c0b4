import type { Server, Socket } from 'node:net';

/**
 * Whether it can be told who a connection is of; if so, it can from here on. What a client has sent can be read after it has reset the
 * connection, but the system does not say any more whose it was: no rule for addresses would be for such a request, and nobody waits for
 * its answer.
 */
export function hasPeer(socket: Socket): boolean {
  return socket.remoteAddress !== undefined;
}

/** Ends connections of nobody before anybody else sees them. To be called when all others listen for connections. */
export function refuseNobody(server: Server): void {
  const serve = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    if (!hasPeer(socket)) socket.destroy();
    else for (const listener of serve) Reflect.apply(listener, server, [socket]);
  });
}

/** Both ends of a connection, which TLS over it shares: a client may use one port of its own to several addresses of a listener. */
export function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
