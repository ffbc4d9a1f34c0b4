import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import { commandOf, descendants, residentMemory } from '../../proc.ts';

/** Memory of a node's workerd processes and of the egress process of this test, resident, in bytes. */
export function residentBytes(node: DataPlane): number {
  const egress = descendants(process.pid).filter((pid) => /egress\/main\.ts/.test(commandOf(pid)));
  return [...node.pids(), ...egress].reduce((sum, pid) => sum + residentMemory(pid), 0);
}
