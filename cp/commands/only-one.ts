import { findInstance } from '../instance/instance.ts';
import { CommandError } from './command.ts';

/** Throws where an instance runs in this prefix already: `stop`, `reload` and `health` would find one of the two. */
export function requireNoOther(prefix: string): void {
  const running = findInstance(prefix);
  if (running !== null) throw new CommandError(`Holdfast is already running at ${prefix} (pid ${running.pid})`);
}
