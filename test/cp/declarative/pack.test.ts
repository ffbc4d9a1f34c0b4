import { expect, it } from 'vitest';
import { parseConfig } from '../../../cp/declarative/import.ts';
import { packConfig } from '../../../cp/declarative/pack.ts';
import { catalogOf } from '../../../cp/store/catalog.ts';
import { schemas } from '../../../cp/store/schemas.ts';
import { parseTableObject } from '../../../shared/bundle/object.ts';
import { verifyObject } from '../../../shared/bundle/verification.ts';
import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';

it('packs what a file declares into the default workspace, unsigned, with the ways to find consumers', async () => {
  const text = '_format_version: "3.0"\nconsumers:\n- username: alice\n- custom_id: nameless\n';
  const { manifest, objects } = await packConfig(await parseConfig(text, catalogOf(schemas).context));
  expect(manifest).toMatchObject({ serial: 0, keys: [] });
  const rowsOf = async (table: string) => {
    for (const { name, gzip } of objects) {
      const bytes = await verifyObject(name, gzip, 1 << 20);
      if (
        JSON.parse(new TextDecoder().decode(bytes)).table === table &&
        !new TextDecoder().decode(bytes).includes('"bits"')
      )
        return parseTableObject(bytes, table).rows;
    }
    return [];
  };
  const consumers = await rowsOf('consumers');
  expect(consumers.map(({ ws_id }) => ws_id)).toEqual([DEFAULT_WORKSPACE.id, DEFAULT_WORKSPACE.id]);
  const alice = consumers.find(({ username }) => username === 'alice');
  expect(await rowsOf('consumers.username')).toEqual([
    { id: alice?.id, ws_id: DEFAULT_WORKSPACE.id, username: 'alice' },
  ]);
});
