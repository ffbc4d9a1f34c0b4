import type { ServerResponse } from 'node:http';

/**
 * For an answer that waits for its client to take some: who takes nothing for so many milliseconds loses the connection. Node's
 * own timeout of a connection begins anew whenever some is taken, and here runs only while something waits.
 */
export function expectClient(to: ServerResponse, patience: number): void {
  const { socket } = to;
  if (socket === null || socket.writableLength === 0 || socket.timeout === patience) return;
  socket.setTimeout(patience);
  // One that has ended says nothing of room any more. The connection may serve others, which take their time.
  const lift = (): void => {
    to.off('drain', lift).off('close', lift);
    socket.setTimeout(0);
  };
  to.once('drain', lift).once('close', lift);
}
