import { resolve } from 'node:path';

import { findInstance, notRunning } from '../instance.ts';
import { CommandError, type Invocation, settingsFor } from './command.ts';

/** `holdfast reload`: has the running instance read settings, certificates and keys anew. Its log tells the outcome. */
export function reload(invocation: Invocation): void {
  const { settings } = settingsFor(invocation);
  const folder = resolve(settings.prefix);
  const instance = findInstance(folder);
  if (!instance) throw new CommandError(notRunning(folder));
  process.kill(instance.pid, 'SIGHUP');
  process.stdout.write(`Holdfast (pid ${instance.pid}) is reloading\n`);
}
