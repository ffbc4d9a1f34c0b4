import { messageOf } from '../../shared/thrown.ts';
import type { Due } from './probe-schedule.ts';

interface Lanes {
  readonly waiting: Due[];
  running: number;
}

/**
 * Probes addresses beside one another: of each upstream as many at a time as its `concurrency` says, no address twice at
 * once. A target that takes its time holds up nobody else's.
 */
export class ProbeLanes {
  readonly #probe: (due: Due) => Promise<void>;
  /** Keys of addresses that wait for a probe or are being probed. */
  readonly #busy = new Set<string>();
  readonly #upstreams = new Map<string, Lanes>();

  constructor(probe: (due: Due) => Promise<void>) {
    this.#probe = probe;
  }

  /** Adds what is due. Resolves when the lanes that were opened for it are empty. */
  async run(due: readonly Due[]): Promise<void> {
    const opened: Promise<void>[] = [];
    for (const one of due) {
      if (this.#busy.has(one.key)) continue;
      this.#busy.add(one.key);
      const { id, health } = one.balancer.upstream;
      const lanes = this.#upstreams.get(id) ?? { waiting: [], running: 0 };
      this.#upstreams.set(id, lanes);
      lanes.waiting.push(one);
      if (lanes.running < Math.max(1, health.active.concurrency)) opened.push(this.#lane(id, lanes));
    }
    await Promise.all(opened);
  }

  async #lane(upstream: string, lanes: Lanes): Promise<void> {
    lanes.running += 1;
    for (let one = lanes.waiting.shift(); one !== undefined; one = lanes.waiting.shift()) {
      try {
        await this.#probe(one);
      } catch (error) {
        console.warn(`the probe of ${one.key} failed: ${messageOf(error)}`);
      }
      this.#busy.delete(one.key);
    }
    lanes.running -= 1;
    if (lanes.running === 0) this.#upstreams.delete(upstream);
  }
}
