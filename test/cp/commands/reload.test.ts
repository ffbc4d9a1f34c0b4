import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { reload } from '../../../cp/commands/reload.ts';
import { reloading } from '../../../cp/commands/reloading.ts';
import { type Instance, InstanceNote } from '../../../cp/instance/instance.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { loadSettings } from '../../../cp/settings/load.ts';

it('answers with the reload that it asked for, not with one that was under way', async () => {
  const prefix = mkdtempSync(join(tmpdir(), 'holdfast reload '));
  const instance = spawn(process.execPath, [
    '-e',
    "process.on('SIGHUP', () => {}); setInterval(() => {}, 1000); console.log('runs')",
  ]);
  onTestFinished(() => {
    instance.kill('SIGKILL');
    rmSync(prefix, { recursive: true });
  });
  await new Promise((resolve) => instance.stdout.once('data', resolve));
  const note = new InstanceNote(
    prefix,
    createLog('error', () => undefined),
  );
  const tell = (reloads: Instance['reloads']) =>
    note.write({ pid: Number(instance.pid), role: 'data_plane', certificates: [], reloads });
  tell({ count: 0, failure: null });
  const underWay = String(process.hrtime.bigint());
  const answer = Promise.resolve(reload.run({ words: [], conf: undefined, prefix, options: {} }));
  answer.catch(() => undefined);
  tell({ count: 1, failure: null, began: underWay });
  // Some looks at the note: it must not be content with that one.
  await pause(500);
  tell({ count: 2, failure: 'ssl_cert: cannot be read', began: String(process.hrtime.bigint()) });
  await expect(answer).rejects.toThrow('runs on as it was, the reload failed: ssl_cert: cannot be read');
});

it('leaves the level of the log as it was where the reload fails', async () => {
  const at = (level: string) => loadSettings({ environment: { HOLDFAST_LOG_LEVEL: level } }).settings;
  const log = createLog('notice', () => undefined);
  const answer = (renew: () => Promise<void>) =>
    new Promise<string | null>((told) => {
      reloading(at('notice'), {
        controlPlane: { renew },
        dataPlane: null,
        read: () => at('debug'),
        done: (_settings, { failure }) => told(failure),
        stopping: () => false,
        log,
      })();
    });
  expect(await answer(() => Promise.reject(new Error('no pair')))).toBe('no pair');
  expect(log.level).toBe('notice');
  expect(await answer(async () => {})).toBeNull();
  expect(log.level).toBe('debug');
});

it('changes nothing where the data plane cannot be given what is new, and says what is where it does not take it', async () => {
  const settings = loadSettings({ environment: {} }).settings;
  const done: string[] = [];
  const answer = (prepare: () => Promise<() => Promise<void>>) =>
    new Promise<unknown>((told) => {
      reloading(settings, {
        controlPlane: { renew: async () => void done.push('control plane') },
        dataPlane: { prepare },
        read: () => loadSettings({ environment: { HOLDFAST_SSL_CIPHER_SUITE: 'old' } }).settings,
        done: (_settings, outcome) => told(outcome),
        stopping: () => false,
        log: createLog('crit', () => undefined),
      })();
    });
  expect(await answer(() => Promise.reject(new Error('no pair')))).toEqual({ failure: 'no pair', half: null });
  expect(done).toEqual([]);
  expect(await answer(async () => () => Promise.reject(new Error('no process')))).toEqual({
    failure: 'no process',
    half: expect.objectContaining({ ssl_cipher_suite: 'old' }),
  });
  expect(done).toEqual(['control plane']);
});
