import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metric } from '../../shared/metrics-text.ts';

type Watch = ReturnType<typeof monitorEventLoopDelay>;

/** Milliseconds between two looks at the clock, and in which one of the two watches begins anew. */
const RESOLUTION = 20;
const WINDOW = 30_000;

/**
 * How late this process comes to what is due: everything it does, it does in one thread. What is told is of the last 30 to 60 seconds,
 * whoever asks and however often.
 */
export class EventLoopWatch {
  /** The older one is told of; each is begun anew when the other has seen a whole window. */
  readonly #watches: [older: Watch, younger: Watch];
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#watches = [begun(), begun()];
    this.#timer = setInterval(() => {
      const [older, younger] = this.#watches;
      older.reset();
      this.#watches.splice(0, 2, younger, older);
    }, WINDOW);
    this.#timer.unref();
  }

  /** By the names that clients of Prometheus for Node give them. */
  metrics(): readonly Metric[] {
    const [older] = this.#watches;
    const lag = (name: string, which: string, nanoseconds: number): Metric => ({
      name: `nodejs_eventloop_lag_${name}seconds`,
      type: 'gauge',
      help: `How late this process came to what was due, in the last 30 to 60 seconds: ${which}`,
      labels: {},
      // While nothing was measured, the mean is no number.
      value: Math.max(0, (Number.isNaN(nanoseconds) ? 0 : nanoseconds) / 1e9 - RESOLUTION / 1000),
    });
    return [
      lag('mean_', 'on average', older.mean),
      lag('p50_', 'half of the times less', older.percentile(50)),
      lag('p99_', 'all but one of a hundred times less', older.percentile(99)),
      lag('max_', 'at most', older.max),
    ];
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const watch of this.#watches) watch.disable();
  }
}

function begun(): Watch {
  const watch = monitorEventLoopDelay({ resolution: RESOLUTION });
  watch.enable();
  return watch;
}
