import { expect, it } from 'vitest';
import { connectService } from '../../../edge-dp/plugins/services/connect.ts';

/** A runtime's socket whose connection, or whose TLS, never comes about. */
function mute(answers: 'not at all' | 'without TLS') {
  const closed: string[] = [];
  const never = new Promise<never>(() => undefined);
  const socket = (name: string, opened: Promise<unknown>) => ({
    opened,
    closed: never,
    readable: new ReadableStream(),
    writable: new WritableStream(),
    close: async () => void closed.push(name),
    startTls: () => socket('tls', never),
  });
  const network = { connect: () => socket('plain', answers === 'not at all' ? never : Promise.resolve()) };
  const connect = connectService(network as unknown as Parameters<typeof connectService>[0]);
  return { closed, connect: () => connect({ host: 'mute.test', port: 389 }, { tls: null, timeout: 20 }) };
}

it('waits no longer than it may for a connection, nor for its TLS, and leaves neither open', async () => {
  const silent = mute('not at all');
  await expect(silent.connect()).rejects.toMatchObject({ code: 'timeout' });
  expect(silent.closed).toEqual(['plain']);
  const plain = mute('without TLS');
  const connection = await plain.connect();
  await expect(connection.startTls({ serverName: null, verify: true })).rejects.toMatchObject({ code: 'timeout' });
  expect(plain.closed).toEqual(['tls']);
});
