import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getActiveResourcesInfo } from 'node:process';
import { expect, it, onTestFinished } from 'vitest';
import { startDetached } from '../../../cp/commands/detached.ts';

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
