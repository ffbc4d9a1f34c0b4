import type { ControlPlane } from '../control-plane.ts';
import type { Log } from '../instance/log.ts';
import type { Settings } from '../settings/properties.ts';
import { reloadedSettings } from '../settings/reload.ts';
import { describeFailure } from './command.ts';
import { oneAtATime } from './one-at-a-time.ts';

/** What runs here, as far as a reload concerns it. */
interface Reloadable {
  readonly controlPlane: Pick<ControlPlane, 'renew'> | null;
  readonly dataPlane: { reload(settings: Settings): Promise<void> } | null;
  /** Reads the settings anew. Throws when they do not work. */
  readonly read: () => Settings;
  /** Told after each reload: the settings in force, why it failed, and when it began to read them (`process.hrtime`). */
  readonly done: (settings: Settings, failure: string | null, began: bigint) => void;
  readonly stopping: () => boolean;
  readonly log: Log;
}

/**
 * Makes the answer to SIGHUP: settings, certificates and keys are read anew, the control plane takes them for new
 * connections, and the data plane's processes are replaced one by one. One reload at a time; one more for all that were
 * asked for meanwhile. A failure is logged, and what was running runs on.
 */
export function reloading(settings: Settings, instance: Reloadable): () => void {
  let running = settings;

  async function reload(): Promise<void> {
    const { log } = instance;
    const began = process.hrtime.bigint();
    const { level } = log;
    log('notice', 'SIGHUP: reading settings, certificates and keys anew');
    try {
      const { settings: next, unchanged } = reloadedSettings(running, instance.read());
      if (unchanged.length > 0) log('warn', `changed, but in force only after a restart: ${unchanged.join(', ')}`);
      log.level = next.log_level;
      await instance.controlPlane?.renew(next);
      await instance.dataPlane?.reload(next);
      running = next;
      instance.done(next, null, began);
      log('notice', 'reloaded');
    } catch (error) {
      // A stop in the middle of it is no failure.
      if (instance.stopping()) return;
      const failure = describeFailure(error);
      log.level = level;
      log('error', `the reload failed, what was running runs on: ${failure}`);
      instance.done(running, failure, began);
    }
  }

  const answer = oneAtATime(async () => {
    if (!instance.stopping()) await reload();
  });
  return () => void answer();
}
