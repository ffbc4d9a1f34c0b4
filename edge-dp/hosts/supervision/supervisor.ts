/**
 * Where the supervisor process begins. Its arguments are, for each process of Node's that is to serve, the descriptors of its
 * listening sockets, with commas between them: those processes take longest to be there, so that nothing else is loaded before
 * they are started.
 */

import type { ChildProcess } from 'node:child_process';
import { beginProcess } from '../node/begin-process.ts';

const begun = process.argv.slice(2).map(begin);
// What the host says meanwhile waits in the channel.
const { supervise } = await import('./supervise.ts');
supervise(begun);

/** Null: the system gives no process just now; whoever needs it tries again, and tells. */
function begin(descriptors: string): ChildProcess | null {
  try {
    return beginProcess(descriptors.split(',').filter(Boolean).map(Number));
  } catch {
    return null;
  }
}
