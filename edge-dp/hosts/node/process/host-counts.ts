import { messageOf } from '../../../../shared/thrown.ts';
import { METRICS, type MetricsQuestion } from '../../../durable/state-messages.ts';
import { askNode } from '../../../plugins/services/node-state.ts';
import type { Count } from '../http2/misuse.ts';

/** Milliseconds for which counts wait for company. */
const TOGETHER = 1_000;

/** Counts of this process's listeners on their way to the node, which adds those of all processes up. */
export function hostCounts(node: Parameters<typeof askNode>[0]): Count {
  const ask = askNode(node);
  let waiting = new Map<string, Map<string, number>>();

  async function send(): Promise<void> {
    const taken = waiting;
    waiting = new Map();
    const samples = Object.fromEntries(
      [...taken].map(([family, sets]) => [family, [...sets].map(([labels, times]) => [labels, [times]] as const)]),
    );
    try {
      await ask(METRICS, { does: 'add', samples } satisfies MetricsQuestion);
    } catch (error) {
      console.warn(`what listeners counted is lost: ${messageOf(error)}`);
    }
  }

  return (family, labels) => {
    if (waiting.size === 0) setTimeout(() => void send(), TOGETHER).unref();
    const sets = waiting.get(family) ?? new Map<string, number>();
    waiting.set(family, sets);
    sets.set(labels, (sets.get(labels) ?? 0) + 1);
  };
}
