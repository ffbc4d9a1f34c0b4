import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { configCommand } from '../../../cp/commands/config.ts';
import '../../plugin-lua.ts';
import { freshPrefix } from '../../embedded-database.ts';
import { STAMP } from '../../lua-plugins/stamp.ts';

let prefix: string;
beforeAll(async () => {
  prefix = await freshPrefix('migrated');
  writeFileSync(join(prefix, 'holdfast.conf'), `prefix = ${prefix}\n`);
});
afterAll(() => rmSync(prefix, { recursive: true, force: true }));

/** `holdfast config ACTION FILE`, the file holding the document; gives the file. */
async function run(action: string, document?: object): Promise<string> {
  const file = join(prefix, `${action}-${crypto.randomUUID()}.json`);
  if (document !== undefined) writeFileSync(file, JSON.stringify({ _format_version: '3.0', ...document }));
  const written = [process.stdout, process.stderr].map((stream) =>
    vi.spyOn(stream, 'write').mockImplementation(() => true),
  );
  const plugins = async () => ({ bundled: new Set<string>(), load: async () => [] });
  try {
    await configCommand(plugins, () => expect.fail('nothing is replayed')).run({
      words: [action, file],
      conf: join(prefix, 'holdfast.conf'),
      prefix,
      options: {},
    });
    return file;
  } finally {
    for (const each of written) each.mockRestore();
  }
}

it('an import knows the plugins in Lua that the database has, and those it brings in their place', async () => {
  await run('import', { custom_plugins: [STAMP] });
  await run('import', { plugins: [{ name: 'stamp', instance_name: 'one', config: { text: 'ab' } }] });
  await expect(run('import', { plugins: [{ name: 'stamp', config: { text: 'a' } }] })).rejects.toThrow(
    'length must be at least 2',
  );
  const schema = STAMP.schema.replace('{ text = ', '{ extra = { type = "string" } }, { text = ');
  const changed = { name: 'stamp', instance_name: 'one', config: { text: 'ab', extra: 'new' } };
  await run('import', { custom_plugins: [{ ...STAMP, schema }], plugins: [changed] });
  const exported = readFileSync(await run('export'), 'utf8');
  expect(exported).toContain('{ extra = ');
  expect(exported).toContain('extra: new');
});
