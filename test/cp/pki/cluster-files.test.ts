import { readdirSync, rmSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureClusterFiles } from '../../../cp/pki/gen-cert.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast cluster '));
});
afterEach(() => rm(folder, { recursive: true }));

it.each(['cluster.crt', 'bundle-keys.json'])(
  'a start that could not write %s leaves no half of a pair, which the next would be refused for',
  async (name) => {
    // What cannot be written there, also for root.
    symlinkSync(join(folder, 'nowhere', 'else'), join(folder, name));
    await expect(ensureClusterFiles(folder)).rejects.toThrow(`cannot write ${join(folder, name)}: EEXIST`);
    rmSync(join(folder, name));
    await ensureClusterFiles(folder);
    expect(readdirSync(folder).toSorted()).toEqual([
      'bundle-keys.json',
      'bundle-signing.key',
      'cluster.crt',
      'cluster.key',
    ]);
  },
);
