import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureSelfSignedPair, loadListenerPair } from '../../../cp/listeners/listener-pair.ts';
import { loadSettings } from '../../../cp/settings/load.ts';

let prefix: string;
beforeEach(async () => {
  prefix = await mkdtemp(join(tmpdir(), 'holdfast pair '));
});
afterEach(() => rm(prefix, { recursive: true }));

const settings = () =>
  loadSettings({ environment: {}, overrides: { prefix, admin_listen: '127.0.0.1:0 ssl' } }).settings;
const file = (ending: string): string => join(prefix, 'ssl', `self-signed.${ending}`);

it('is made once, and anew where what is there is no pair any more', async () => {
  await ensureSelfSignedPair(settings());
  const first = loadListenerPair(settings(), 'admin_listen');
  await ensureSelfSignedPair(settings());
  expect(loadListenerPair(settings(), 'admin_listen').cert).toBe(first.cert);

  const damages = [
    // A disk that was full.
    () => writeFileSync(file('crt'), ''),
    () => writeFileSync(file('key'), first.key.slice(0, 80)),
    () => rmSync(file('key')),
    // Halves of two starts at once.
    () => writeFileSync(file('key'), first.key),
  ];
  for (const damage of damages) {
    damage();
    await ensureSelfSignedPair(settings());
    expect(loadListenerPair(settings(), 'admin_listen').key).toBe(readFileSync(file('key'), 'utf8'));
  }
  expect(readdirSync(join(prefix, 'ssl'))).toEqual(['self-signed.crt', 'self-signed.key']);
});
