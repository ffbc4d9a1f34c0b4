/** When to act on a stream of signals. Milliseconds. */
export interface Pace {
  /** Waits until no signal came for this long… */
  readonly quiet: number;
  /** …but no longer than this after the first one. */
  readonly patience: number;
}

interface Coalesced {
  /** Asks for a run soon. */
  signal(): void;
  /** Asks for a run now and resolves when one that began after this call has ended. Never rejects. */
  flush(): Promise<void>;
  /** No run begins after this; resolves when the one in progress has ended. */
  stop(): Promise<void>;
}

/** Turns bursts of signals into single runs of `work`, one at a time. `work` handles its own errors. */
export function coalesce(work: () => Promise<void>, pace: Pace): Coalesced {
  let timer: NodeJS.Timeout | null = null;
  let firstSignal = 0;
  let running: Promise<void> | null = null;
  let again = false;
  let stopped = false;

  function signal(): void {
    if (stopped) return;
    if (running !== null) {
      again = true;
      return;
    }
    const now = Date.now();
    if (timer === null) firstSignal = now;
    else clearTimeout(timer);
    const wait = Math.max(0, Math.min(pace.quiet, firstSignal + pace.patience - now));
    timer = setTimeout(() => void run(), wait);
  }

  function run(): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    running = work().finally(() => {
      running = null;
      if (again) {
        again = false;
        signal();
      }
    });
    return running;
  }

  return {
    signal,
    async flush() {
      while (running !== null) await running;
      if (!stopped) await run();
    },
    async stop() {
      stopped = true;
      again = false;
      if (timer !== null) clearTimeout(timer);
      timer = null;
      if (running !== null) await running;
    },
  };
}
