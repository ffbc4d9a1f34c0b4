import type { ControlPlane } from '../control-plane.ts';
import type { Log } from '../instance/log.ts';
import type { Settings } from '../settings/properties.ts';
import { reloadedSettings } from '../settings/reload.ts';
import { describeFailure } from './command.ts';
import { oneAtATime } from './one-at-a-time.ts';

/** What runs here, as far as a reload concerns it. */
interface Reloadable {
  readonly controlPlane: Pick<ControlPlane, 'renew'> | null;
  /** Reads what these settings name, and throws where it does not do; what it returns has the data plane take it. */
  readonly dataPlane: { prepare(settings: Settings): Promise<() => Promise<void>> } | null;
  /** Reads the settings anew. Throws when they do not work. */
  readonly read: () => Settings;
  /** Told after each reload: the settings in force, what came of it, and when it began to read them (`process.hrtime`). */
  readonly done: (settings: Settings, outcome: Outcome, began: bigint) => void;
  readonly stopping: () => boolean;
  readonly log: Log;
}

interface Outcome {
  readonly failure: string | null;
  /** What the control plane works with already where the data plane alone failed. */
  readonly half: Settings | null;
}

/**
 * Makes the answer to SIGHUP: settings, certificates and keys are read anew, the control plane takes them for new
 * connections, and the data plane's processes are replaced one by one. One reload at a time; one more for all that were
 * asked for meanwhile. A failure is logged, and what was running runs on; but for the control plane where the processes of
 * the data plane fail, since the files that it had are not there any more.
 */
export function reloading(settings: Settings, instance: Reloadable): () => void {
  let running = settings;

  async function reload(): Promise<void> {
    const { log } = instance;
    const began = process.hrtime.bigint();
    const { level } = log;
    let half: Settings | null = null;
    log('notice', 'SIGHUP: reading settings, certificates and keys anew');
    try {
      const { settings: next, unchanged } = reloadedSettings(running, instance.read());
      if (unchanged.length > 0) log('warn', `changed, but in force only after a restart: ${unchanged.join(', ')}`);
      log.level = next.log_level;
      const replace = await instance.dataPlane?.prepare(next);
      await instance.controlPlane?.renew(next);
      if (instance.controlPlane !== null) half = next;
      await replace?.();
      running = next;
      instance.done(next, { failure: null, half: null }, began);
      log('notice', 'reloaded');
    } catch (error) {
      // A stop in the middle of it is no failure.
      if (instance.stopping()) return;
      const failure = describeFailure(error);
      log.level = level;
      const what =
        half === null
          ? 'what was running runs on'
          : 'the data plane runs on as it was, the control plane has what is new';
      log('error', `the reload failed, ${what}: ${failure}`);
      instance.done(running, { failure, half }, began);
    }
  }

  const answer = oneAtATime(async () => {
    if (!instance.stopping()) await reload();
  });
  return () => void answer();
}
