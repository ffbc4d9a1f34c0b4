import { unwatchFile, watchFile } from 'node:fs';
import { basename } from 'node:path';
import type { Log } from '../instance/log.ts';
import { CommandError, describeFailure } from './command.ts';
import { invalidFile, readConfigText } from './config-file.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { AdminRefusal, type RunningAdmin } from './running-admin.ts';

/** Milliseconds between looks: the file system tells nothing of a file that lies on a network, or is another after each save. */
const INTERVAL = 200;

/**
 * Makes a declarative file, which is the config already, the config again whenever it has changed, one change at a time. What is
 * wrong with it is logged, and what was the config stays. `text` is what has been made the config. Returns what ends that.
 */
export function followConfigFile(file: string, text: string, admin: RunningAdmin, log: Log): () => void {
  const name = basename(file);
  let known = text;

  async function take(): Promise<void> {
    try {
      const text = readConfigText(file);
      if (text === known) return;
      known = text;
      const began = performance.now();
      await send(text);
      const reached = await admin.ask('/wait').then(
        () => `is served (${Math.round(performance.now() - began)} ms)`,
        (error: unknown) => `is the config, but ${describeFailure(error)}`,
      );
      log('notice', `${name} ${reached}`);
    } catch (error) {
      log('error', `${describeFailure(error)}\nWhat was served before is served on.`);
    }
  }

  async function send(text: string): Promise<void> {
    const type = file.endsWith('.json') ? 'application/json' : 'application/yaml';
    try {
      await admin.ask('/config', { text, type });
    } catch (error) {
      if (!(error instanceof AdminRefusal)) throw error;
      throw Object.keys(error.fields).length > 0
        ? invalidFile(name, text, error.fields)
        : new CommandError(`${name}: ${error.message}`);
    }
  }

  const changed = oneAtATime(take);
  const look = () => void changed();
  watchFile(file, { interval: INTERVAL }, look);
  // It may have changed while all was starting.
  look();
  return () => unwatchFile(file, look);
}
