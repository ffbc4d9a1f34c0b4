import { connect, createServer, type Socket } from 'node:net';

/** A relay to a port that can stop bringing anything over the connection that listens, without closing it. */
export async function silentRelay(target: number): Promise<{ port: number; silence(): void; close(): void }> {
  const pairs: [Socket, Socket][] = [];
  const listening: [Socket, Socket][] = [];
  const relay = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => socket.destroy());
    near.on('data', (bytes) => {
      if (bytes.includes('LISTEN')) listening.push([near, far]);
    });
    near.pipe(far).pipe(near);
    pairs.push([near, far]);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  const address = relay.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    silence() {
      if (listening.length === 0) throw new Error('nobody listens');
      for (const [near, far] of listening) {
        far.unpipe(near);
        far.resume();
      }
    },
    close() {
      relay.close();
      for (const socket of pairs.flat()) socket.destroy();
    },
  };
}
