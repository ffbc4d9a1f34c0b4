import type { Socket } from 'node:net';

/** What a reader makes of the first bytes of a connection: more are needed, or what they say and how many bytes that took. */
export type FirstBytes<T> = 'more' | { readonly value: T; readonly taken: number };

/**
 * Reads the beginning of a connection until `read` knows what it says, and puts back what that did not take. Null: the client left,
 * said nothing that is understood within `most` bytes, or took longer than `patience` ms; then the connection is closed.
 */
export function preread<T>(
  socket: Socket,
  read: (bytes: Buffer) => FirstBytes<T> | null,
  { most, patience }: { readonly most: number; readonly patience: number },
): Promise<T | null> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const done = (value: T | null): void => {
      clearTimeout(timer);
      socket.off('readable', look);
      socket.off('end', gone);
      socket.off('close', gone);
      if (value === null) socket.destroy();
      resolve(value);
    };
    const gone = (): void => done(null);
    const look = (): void => {
      const part: unknown = socket.read();
      if (!(part instanceof Buffer)) return;
      bytes = bytes.length === 0 ? part : Buffer.concat([bytes, part]);
      const result = read(bytes.subarray(0, most));
      if (result === null || (result === 'more' && bytes.length >= most)) done(null);
      else if (result !== 'more') {
        if (bytes.length > result.taken) socket.unshift(bytes.subarray(result.taken));
        done(result.value);
      }
    };
    const timer = setTimeout(gone, patience);
    socket.on('readable', look);
    socket.once('end', gone);
    socket.once('close', gone);
  });
}
