import { Socket } from 'node:net';

/**
 * Listening sockets held by two processes: when the one that hands them to those who accept is killed, the other still has
 * them open, so that the kernel queues connections instead of refusing them. Node has no public way to hold one without
 * accepting; the bare handle behind a `Socket` made of a descriptor is one that is open and nothing else, and Node's IPC
 * passes such handles on.
 */

/** A listening socket that nobody accepts from in this process. */
export interface HeldSocket {
  readonly descriptor: number;
  release(): void;
}

/** What this process has given its parent; a socket that was collected would close its descriptor. */
const given: Socket[] = [];

/** Gives the parent process a listening socket of this one, with a message. */
export function giveToParent(descriptor: number, message: object): void {
  const socket = new Socket({ fd: descriptor, readable: false, writable: false });
  given.push(socket);
  if (process.send === undefined) return;
  // The types know whole sockets and servers only; those would read, or accept, where they arrive.
  Reflect.apply(process.send, process, [message, Reflect.get(socket, '_handle'), undefined, () => {}]);
}

/** What came with a message of `giveToParent`; null when it is no handle. */
export function heldSocket(handle: unknown): HeldSocket | null {
  const descriptor: unknown = Reflect.get(Object(handle), 'fd');
  const close: unknown = Reflect.get(Object(handle), 'close');
  if (typeof descriptor !== 'number' || descriptor < 0 || typeof close !== 'function') return null;
  return { descriptor, release: () => Reflect.apply(close, handle, []) };
}
