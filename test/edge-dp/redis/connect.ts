import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Connection, Services } from '../../../edge-dp/plugins/runtime/services.ts';

/** `services.connect` over sockets of Node: plain ones only. */
export const connectPlain: Services['connect'] = async ({ host, port }) => {
  const socket: Socket = connect(port, host);
  await once(socket, 'connect');
  const { readable, writable } = Duplex.toWeb(socket);
  const connection: Connection = {
    readable,
    writable,
    reused: false,
    startTls: () => Promise.reject(new Error('no TLS in this test')),
    keep: async () => void socket.destroy(),
    close: async () => void socket.destroy(),
  };
  return connection;
};
