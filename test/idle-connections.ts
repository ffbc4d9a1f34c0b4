import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Connections that are being opened at the same time. */
const AT_ONCE = 50;
/** Milliseconds for one to be opened and answered. */
const PATIENCE = 60_000;

/**
 * Opens connections to a port of this machine, has one request answered on each and keeps them open. Rejects where one is not answered
 * with 200; `end` closes all of them.
 */
export async function openIdle(
  port: number,
  count: number,
  { path, tls = false }: { readonly path: string; readonly tls?: boolean },
): Promise<{ readonly open: () => number; end(): void }> {
  const sockets: Socket[] = [];
  let opened = 0;
  const work = async (): Promise<void> => {
    while (opened < count) {
      opened += 1;
      sockets.push(await openOne(port, path, tls));
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, work));
  } catch (error) {
    for (const socket of sockets) socket.destroy();
    throw error;
  }
  return {
    open: () => sockets.filter(({ destroyed, readableEnded }) => !destroyed && !readableEnded).length,
    end() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

function openOne(port: number, path: string, tls: boolean): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = tls
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect({ port, host: '127.0.0.1' });
    let text = '';
    const fail = (reason: string): void => {
      socket.destroy();
      reject(new Error(`a connection to keep: ${reason}; it got ${JSON.stringify(text.slice(0, 200))}`));
    };
    socket.setTimeout(PATIENCE, () => fail(`no answer within ${PATIENCE} ms`));
    const closed = (): void => fail('it was closed');
    socket.on('error', (error) => fail(error.message)).once('close', closed);
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    });
    const take = (data: Buffer): void => {
      text += data.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1]);
      if (end < 0 || !(text.length >= end + 4 + length)) return;
      if (!text.startsWith('HTTP/1.1 200 ')) {
        fail('another answer than 200');
        return;
      }
      socket.off('close', closed).off('data', take).setTimeout(0);
      resolve(socket.resume());
    };
    socket.on('data', take);
  });
}
