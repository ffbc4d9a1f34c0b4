import { resolve } from 'node:path';
import { findInstance, findStopping } from '../instance/instance.ts';
import { type Command, settingsFor } from './command.ts';
import { startDetached } from './detached.ts';
import { endInstance } from './ending.ts';

/** Milliseconds. */
const PATIENCE = 20_000;

/** `stop`, where something runs, and `start --detach`. */
export const restart: Command = {
  summary: 'stop a running instance and start one in the background (a reload drops no connection, this does)',
  examples: ['holdfast restart', 'holdfast restart --conf /etc/holdfast/holdfast.conf'],
  async run(invocation) {
    // Settings that do not work end nothing.
    const prefix = resolve(settingsFor(invocation).settings.prefix);
    const instance = findInstance(prefix) ?? findStopping(prefix);
    if (instance !== null) await endInstance(instance, 'SIGTERM', PATIENCE);
    await startDetached(invocation);
  },
};
