import { setTimeout as sleep } from 'node:timers/promises';

import { findInstance, type Instance, notRunning } from '../instance/instance.ts';
import { type Command, CommandError, folderFor, type Invocation } from './command.ts';

/** Milliseconds: requests in flight may hold up each process that is replaced for as long as they may last. */
const PATIENCE = 120_000;

/** Has the running instance read settings, certificates and keys anew. Done when all of it is in force. */
export const reload: Command = {
  summary: 'have a running instance read settings, certificates and keys anew, without dropping a connection',
  examples: ['holdfast reload', 'holdfast reload --prefix /var/lib/holdfast'],
  run: reloadInstance,
};

async function reloadInstance(invocation: Invocation): Promise<void> {
  const folder = folderFor(invocation);
  const instance = findInstance(folder);
  if (!instance) throw new CommandError(notRunning(folder));
  process.kill(instance.pid, 'SIGHUP');
  const { failure } = await outcome(folder, instance);
  if (failure !== null) {
    throw new CommandError(`Holdfast (pid ${instance.pid}) runs on as it was, the reload failed: ${failure}`);
  }
  process.stdout.write(`Holdfast (pid ${instance.pid}) has reloaded\n`);
}

/** Waits for the instance's own word on the reload it was asked for. */
async function outcome(folder: string, before: Instance): Promise<Instance['reloads']> {
  for (const deadline = performance.now() + PATIENCE; performance.now() < deadline; await sleep(100)) {
    const now = findInstance(folder);
    if (now?.pid !== before.pid) throw new CommandError(`Holdfast (pid ${before.pid}) ended during the reload`);
    if (now.reloads.count > before.reloads.count) return now.reloads;
  }
  throw new CommandError(`Holdfast (pid ${before.pid}) has not reloaded in ${PATIENCE / 1000} s; see its log`);
}
