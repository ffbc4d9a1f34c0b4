import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** Bytes that passed each way. */
export interface Relayed {
  readonly up: number;
  readonly down: number;
}

/**
 * Moves bytes both ways between two connections until both directions have ended, one of them breaks off, nothing moves for `read`
 * ms, or the upstream takes nothing for `write` ms. The end of one direction is passed on and leaves the other open; a reset is
 * passed on as one. No more is held in memory than the two connections' buffers.
 */
export function relay(
  client: Socket,
  upstream: Socket,
  { read, write }: { readonly read: number; readonly write: number },
): Promise<Relayed> {
  return new Promise((resolve) => {
    const moved = { up: 0, down: 0 };
    let open = 2;
    const idle = setTimeout(() => breakOff('close'), read);
    let stuck: NodeJS.Timeout | undefined;
    const finish = (): void => {
      clearTimeout(idle);
      clearTimeout(stuck);
      resolve(moved);
    };
    const breakOff = (how: 'reset' | 'close'): void => {
      open = 0;
      for (const socket of [client, upstream]) {
        if (how === 'reset') reset(socket);
        else socket.destroy();
      }
      finish();
    };
    const direction = (from: Socket, to: Socket, way: 'up' | 'down'): void => {
      to.on('drain', () => {
        if (way === 'up') clearTimeout(stuck);
        idle.refresh();
        from.resume();
      });
      from.on('data', (part: Buffer) => {
        moved[way] += part.length;
        idle.refresh();
        if (to.write(part)) return;
        from.pause();
        if (way === 'up') stuck = setTimeout(() => breakOff('close'), write);
      });
      from.once('end', () => {
        to.end();
        open -= 1;
        if (open > 0) return;
        finish();
        // What a side does not take of the rest is not kept for ever.
        for (const socket of [client, upstream]) socket.setTimeout(read, () => socket.destroy());
      });
      from.on('error', () => breakOff('reset'));
      from.once('close', () => {
        // Before both directions have ended.
        if (open > 0) breakOff(from.errored === null ? 'close' : 'reset');
      });
    };
    direction(client, upstream, 'up');
    direction(upstream, client, 'down');
    // One that broke off before anybody listened will not say so again.
    if (client.destroyed || upstream.destroyed) breakOff('close');
  });
}

/** A TLS connection has no reset of its own: closed without an alert. */
function reset(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}
