import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
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
  requireItsConf(invocation.conf, instance);
  const asked = process.hrtime.bigint();
  process.kill(instance.pid, 'SIGHUP');
  const { failure, half } = await outcome(folder, instance, asked);
  if (failure !== null) {
    const what = half === true ? 'has what is new at its control plane alone' : 'runs on as it was';
    throw new CommandError(`Holdfast (pid ${instance.pid}) ${what}, the reload failed: ${failure}`);
  }
  process.stdout.write(`Holdfast (pid ${instance.pid}) has reloaded\n`);
}

/** It reads the file that it was started with, and no other. */
function requireItsConf(named: string | undefined, { pid, conf }: Instance): void {
  if (named === undefined || (conf !== undefined && whole(named) === whole(conf))) return;
  const what = conf === undefined ? 'was started without a configuration file' : `reads ${conf}`;
  throw new CommandError(`Holdfast (pid ${pid}) ${what}; to have it read ${resolve(named)}, restart it`);
}

/** Without symbolic links, which may lead to the same file. */
function whole(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** Waits for the instance's own word on a reload that began after it was asked for: one that was under way may have read what was there before. */
async function outcome(folder: string, before: Instance, asked: bigint): Promise<Instance['reloads']> {
  for (const deadline = performance.now() + PATIENCE; performance.now() < deadline; await sleep(100)) {
    const now = findInstance(folder);
    if (now?.pid !== before.pid) throw new CommandError(`Holdfast (pid ${before.pid}) ended during the reload`);
    const { count, began } = now.reloads;
    if (count > before.reloads.count && (began === undefined || BigInt(began) >= asked)) return now.reloads;
  }
  throw new CommandError(`Holdfast (pid ${before.pid}) has not reloaded in ${PATIENCE / 1000} s; see its log`);
}
