import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { choosePlugins } from '../../../cp/commands/enabled-plugins.ts';
import { dataPlanePlugins } from '../../../edge-dp/hosts/plugins.ts';

const SCHEMA = `import { definePlugin } from 'holdfast/schema';
export default definePlugin({ name: 'own', version: '1.0.0', priority: 1, phases: [], fields: { config: { type: 'record', required: true, fields: {} } } });`;
const HANDLER = `import type { Plugin } from 'holdfast/handler';
const own: Plugin = { name: 'own', version: '1.0.0', priority: 1, compile: () => ({}) };
export default own;`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'own plugins '));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const choose = (plugins: readonly string[], plugins_dir: string | null, role: 'traditional' | 'control_plane') =>
  choosePlugins({ role, plugins, plugins_dir }, async () => dataPlanePlugins);

let made = 0;
function files(parts: Readonly<Record<string, string>>): string {
  const dir = join(folder, String(made++));
  mkdirSync(join(dir, 'own'), { recursive: true });
  for (const [name, text] of Object.entries(parts)) writeFileSync(join(dir, 'own', name), text);
  return dir;
}

it.each([
  [{}, 'there is no handler.ts in'],
  [{ 'handler.ts': HANDLER }, 'there is no schema.ts in'],
  [{ 'schema.ts': SCHEMA, 'handler.ts': 'export const own = {};' }, 'handler.ts has no default export'],
  [{ 'schema.ts': SCHEMA, 'handler.ts': 'export default { name: "own" };' }, "has no function 'compile'"],
  [{ 'schema.ts': SCHEMA, 'handler.ts': HANDLER.replace("'own'", "'other'") }, "is of a plugin named 'other'"],
  [{ 'schema.ts': SCHEMA.replace("'own'", "'other'"), 'handler.ts': HANDLER }, "schema is of a plugin named 'other'"],
  [
    { 'schema.ts': SCHEMA, 'handler.ts': HANDLER.replace('1.0.0', '2.0.0') },
    'its schema has version 1.0.0, its handler 2.0.0',
  ],
  [
    { 'schema.ts': SCHEMA, 'handler.ts': HANDLER.replace('priority: 1', 'priority: 2') },
    'its schema has priority 1, its handler 2',
  ],
  [{ 'schema.ts': 'export default { name: "own" };', 'handler.ts': HANDLER }, "is no plugin's schema"],
  [
    { 'schema.ts': SCHEMA, 'handler.ts': 'export default {;' },
    /: \/.*handler\.ts:1:16: Expected identifier but found ";"/,
  ],
  [{ 'schema.ts': SCHEMA, 'handler.ts': 'import "no-such-package";' }, 'Could not resolve "no-such-package"'],
  [
    { 'schema.ts': 'import "holdfast/other";', 'handler.ts': HANDLER },
    "'holdfast/other' is not there: plugins import holdfast/schema and holdfast/handler",
  ],
  [{ 'schema.ts': 'throw new Error("at once");', 'handler.ts': HANDLER }, 'fails when it is loaded: at once'],
] as const)('says what is wrong with a plugin of %j', async (parts, reason) => {
  await expect(choose(['bundled', 'own'], files(parts), 'traditional')).rejects.toThrow(reason);
});

it('says where plugins of one’s own are looked for', async () => {
  await expect(choose(['bundled', 'own'], null, 'traditional')).rejects.toThrow(
    "plugins: 'own' is no bundled plugin; plugins_dir is to be the folder that has plugins of your own",
  );
  await expect(choose(['absent'], folder, 'traditional')).rejects.toThrow(
    `'absent' is no bundled plugin, and there is no folder ${join(folder, 'absent')}`,
  );
});

it('has those plugins that are listed', async () => {
  const dir = files({ 'schema.ts': SCHEMA, 'handler.ts': HANDLER });
  const here = await choose(['key-auth', 'own'], dir, 'traditional');
  expect(await here.enabled()).toEqual(new Set(['key-auth', 'own']));
  expect(here.choice).toEqual({
    bundled: ['key-auth'],
    own: [{ name: 'own', handler: join(dir, 'own', 'handler.ts') }],
  });
  expect(await (await choose(['bundled', 'own'], dir, 'control_plane')).enabled()).toBeNull();
  expect(await (await choose([], null, 'traditional')).enabled()).toEqual(new Set());
});
