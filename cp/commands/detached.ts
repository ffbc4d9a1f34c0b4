import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../shared/thrown.ts';
import { findInstance, findStopping, type Instance, notRunning } from '../instance/instance.ts';
import { makePrefix } from '../instance/prefix.ts';
import { CommandError, type Invocation, settingsFor } from './command.ts';
import { requireNoOther } from './only-one.ts';

/** Milliseconds. A first start makes the database. */
const PATIENCE = 120_000;
/** Bytes of the log. */
const MOST_SHOWN = 16 << 10;

/**
 * Starts an instance of its own session, in the background, its output going to `holdfast.log` in the prefix. Resolves once it serves;
 * throws with the end of that log where it ends instead.
 */
export async function startDetached(invocation: Invocation, patience = PATIENCE): Promise<void> {
  // All that is wrong with the settings is said here rather than in the log.
  const prefix = resolve(settingsFor(invocation).settings.prefix);
  requireNoOther(prefix);
  if (findStopping(prefix) !== null) throw new CommandError(notRunning(prefix));
  makePrefix(prefix);
  const path = join(prefix, 'holdfast.log');
  const log = openSync(path, 'a', 0o600);
  const before = fstatSync(log).size;
  const [, cli = ''] = process.argv;
  const child = spawn(process.execPath, [...process.execArgv, cli, 'start', ...options(invocation)], {
    detached: true,
    stdio: ['ignore', log, log],
    // Run by npm it would end with npm.
    env: { ...process.env, npm_command: undefined },
  });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) {
    const [error] = await once(child, 'error');
    throw new CommandError(`the system does not let another process start: ${messageOf(error)}`);
  }
  // Also where it does not say that it serves, and runs on: this command ends.
  child.unref();
  const instance = await ready(prefix, pid, patience, () => child.exitCode ?? child.signalCode);
  if (instance === null) {
    const said = endOf(path, before).trimEnd().split('\n').slice(-20).join('\n');
    throw new CommandError(`it ended instead of starting; from ${path}:\n${said}`);
  }
  const addresses = [
    instance.admin && `Admin API ${instance.admin}`,
    instance.status && `Status API ${instance.status}`,
  ];
  process.stdout.write(
    `Holdfast (pid ${pid}) has started; its log is ${path}\n${addresses.map((line) => (line ? `  ${line}\n` : '')).join('')}`,
  );
}

function options({ conf, prefix }: Invocation): string[] {
  return [...(conf === undefined ? [] : ['--conf', conf]), ...(prefix === undefined ? [] : ['--prefix', prefix])];
}

/** What was written behind so many bytes; no more than a terminal shows, of a log that may be of any length. */
function endOf(path: string, from: number): string {
  const file = openSync(path, 'r');
  try {
    const start = Math.max(from, fstatSync(file).size - MOST_SHOWN);
    const bytes = Buffer.alloc(MOST_SHOWN);
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, start));
  } finally {
    closeSync(file);
  }
}

/** Null: it has ended. */
async function ready(
  prefix: string,
  pid: number,
  patience: number,
  end: () => number | string | null,
): Promise<Instance | null> {
  for (const deadline = performance.now() + patience; performance.now() < deadline; await sleep(50)) {
    const instance = findInstance(prefix);
    if (instance?.pid === pid) return instance;
    if (end() !== null) return null;
  }
  throw new CommandError(
    `Holdfast (pid ${pid}) does not say that it serves, after ${patience / 1000} s; see its log in ${prefix}`,
  );
}
