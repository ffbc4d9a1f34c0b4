import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getActiveResourcesInfo } from 'node:process';
import { expect, it, onTestFinished } from 'vitest';
import { startDetached } from '../../../cp/commands/detached.ts';
import { stop } from '../../../cp/commands/stop.ts';
import { findInstance, InstanceNote, NO_RELOADS } from '../../../cp/instance/instance.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { once } from '../../once.ts';

it('ends where what it has started does not say that it serves, and lets that run on', async () => {
  const prefix = mkdtempSync(join(tmpdir(), 'holdfast detached '));
  const program = join(prefix, 'program.mjs');
  writeFileSync(program, "console.log('starting'); setInterval(() => {}, 1000);");
  const [, own = ''] = process.argv;
  process.argv[1] = program;
  let pid = 0;
  onTestFinished(() => {
    process.argv[1] = own;
    if (pid > 0) process.kill(pid, 'SIGKILL');
    rmSync(prefix, { recursive: true, force: true });
  });
  const held = () => getActiveResourcesInfo().filter((what) => what === 'ProcessWrap').length;
  const before = held();
  const failure: unknown = await startDetached({ words: [], conf: undefined, prefix, options: {} }, 3_000).catch(
    (error: unknown) => error,
  );
  pid = Number(/^Holdfast \(pid (\d+)\) does not say that it serves/.exec(String((failure as Error).message))?.[1]);
  expect(pid).toBeGreaterThan(0);
  process.kill(pid, 0);
  expect(readFileSync(join(prefix, 'holdfast.log'), 'utf8')).toBe('starting\n');
  // What would keep this command from ending.
  expect(held()).toBe(before);
});

it('waits with stop for one that is stopping, and does not tell it twice, which would cut off what is in flight', async () => {
  const prefix = mkdtempSync(join(tmpdir(), 'holdfast stopping '));
  const instance = spawn(process.execPath, [
    '-e',
    "process.on('SIGTERM', () => process.exit(1)); process.stdin.resume().on('end', () => process.exit(0)); console.log('runs')",
  ]);
  onTestFinished(() => {
    instance.kill('SIGKILL');
    rmSync(prefix, { recursive: true, force: true });
  });
  await once(instance.stdout, 'data');
  const note = new InstanceNote(
    prefix,
    createLog('error', () => undefined),
  );
  note.write({ pid: Number(instance.pid), role: 'data_plane', certificates: [], reloads: NO_RELOADS });
  note.stopping();
  expect(findInstance(prefix)).toBeNull();
  const invocation = { words: [], conf: undefined, prefix, options: {} };
  await expect(startDetached(invocation)).rejects.toThrow(`Holdfast (pid ${instance.pid}) is stopping at ${prefix}`);
  const ended = once(instance, 'exit');
  const stopped = Promise.resolve(stop.run(invocation));
  instance.stdin.end();
  await stopped;
  expect(await ended).toEqual([0, null]);
});
