import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { nodeIdentity } from '../../../edge-dp/hosts/node-identity.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-node-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('keeps the node id across restarts', async () => {
  const prefix = join(folder, 'not yet there');
  const first = await nodeIdentity(prefix);
  expect(first).toMatch(/^[0-9a-f-]{36}$/);
  expect(await nodeIdentity(prefix)).toBe(first);
  expect(await readFile(join(prefix, 'node-id'), 'utf8')).toBe(`${first}\n`);
});

test('refuses a node id file that holds something else', async () => {
  await writeFile(join(folder, 'node-id'), 'not a uuid');
  await expect(nodeIdentity(folder)).rejects.toThrow(/node-id: expected a UUID, found "not a uuid"/);
});

test('takes the node id it is given, and keeps it', async () => {
  const own = await nodeIdentity(folder);
  const given = '592e1c2b-6678-45aa-80f9-78cfb29f5e31';
  expect(await nodeIdentity(folder, given)).toBe(given);
  expect(await nodeIdentity(folder)).toBe(given);
  expect(given).not.toBe(own);
});

test('writes nothing where the id is there', async () => {
  const id = await nodeIdentity(folder);
  const { mtimeNs } = await stat(folder, { bigint: true });
  expect(await nodeIdentity(folder)).toBe(id);
  expect(await nodeIdentity(folder, id)).toBe(id);
  expect((await stat(folder, { bigint: true })).mtimeNs).toBe(mtimeNs);
});
