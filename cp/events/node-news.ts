import type { NodeStanding } from '../store/store.ts';
import type { ClusterEvent, NodeChange } from './event.ts';
import { seconds } from './event.ts';

/**
 * Where every data plane that is connected was when it was looked at last; tells what became of each since. One that left is like one that
 * was never there: of these there is no end, where each is new by its id.
 */
export class NodeNews {
  readonly #known = new Map<string, NodeStanding>();

  /** Takes note of a data plane without telling. */
  know(node: NodeStanding): void {
    if (node.connected) this.#known.set(node.id, node);
    else this.#known.delete(node.id);
  }

  /** How many are connected, as far as it knows. */
  get size(): number {
    return this.#known.size;
  }

  look(node: NodeStanding): readonly ClusterEvent[] {
    const before = this.#known.get(node.id);
    this.know(node);
    return changesOf(before, node).map((change) => toEvent(node, change));
  }

  /** Somebody had it forgotten. */
  forget(id: string, at: number): readonly ClusterEvent[] {
    const before = this.#known.get(id);
    this.#known.delete(id);
    return before === undefined ? [] : [toEvent({ ...before, connected: false, at }, 'left')];
  }
}

/** `before`: undefined when it was not connected. */
function changesOf(before: NodeStanding | undefined, after: NodeStanding): readonly NodeChange[] {
  if (!after.connected) return before === undefined ? [] : ['left'];
  const changes: NodeChange[] = [];
  if (before === undefined) changes.push('joined');
  else if (before.group !== after.group) changes.push('moved');
  // Also the serial that it had, once it is known to be the one it should have.
  const isInOrder = after.sync_status === 'normal' && before?.sync_status !== 'normal';
  const isOther = before !== undefined && after.serial !== before.serial;
  if (after.serial !== null && (isInOrder || isOther)) changes.push('applied');
  if (after.reason !== null && after.reason !== before?.reason) changes.push(behind(after));
  return changes;
}

const behind = ({ rejected }: NodeStanding): NodeChange => (rejected ? 'rejected' : 'withheld');

function toEvent({ connected: _, rejected: __, at, ...node }: NodeStanding, change: NodeChange): ClusterEvent {
  return { kind: 'node', data: { ...node, change, at: seconds(at * 1000) } };
}
