import { afterEach, expect, test } from 'vitest';

import { catalogOf, type Schemas } from '../../../cp/store/catalog.ts';
import type { Database } from '../../../cp/store/database.ts';
import { migrate, migrationStatus } from '../../../cp/store/migrations.ts';
import { openDatabase, openStore } from '../../../cp/store/open.ts';
import { schemas } from '../../../cp/store/schemas.ts';
import type { EntitySchema, Fields } from '../../../shared/schema/vocabulary.ts';
import { onBothDrivers } from './drivers.ts';
import { refusalBody, workspaceOf } from './workspace-of.ts';

const uuid = { type: 'string', uuid: true, auto: true } as const;

/** The project's entities and one more. */
function withWidgets(widget: Partial<EntitySchema> & { readonly fields: Fields }): Schemas {
  const widgets: EntitySchema = { name: 'widgets', primary_key: ['id'], workspaceable: true, ...widget };
  return { ...schemas, entities: [...schemas.entities, widgets] };
}

onBothDrivers('migrations', (backend) => {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
  });
  async function closeAll(): Promise<void> {
    await Promise.all(open.splice(0).map((one) => one.close()));
  }
  function opened<T extends { close(): Promise<void> }>(one: T): T {
    open.push(one);
    return one;
  }

  test('a store does not open on a database that lacks migrations, and says what to run', async () => {
    const settings = await backend.fresh('empty');
    await expect(openStore(settings)).rejects.toThrow(/empty.*holdfast migrations bootstrap/);
    await (await openStore(settings, { migrate: true })).close();
    await (await openStore(settings)).close();
    const more = withWidgets({ fields: { id: uuid } });
    await expect(openStore(settings, { schemas: more })).rejects.toThrow(
      /create table widgets.*holdfast migrations up/,
    );
  });

  test('control planes that start together migrate once', async () => {
    const settings = await backend.fresh('empty');
    const { tables } = catalogOf(schemas);
    const shared = opened(await openDatabase(settings));
    const databases: Database[] = [shared, shared, shared];
    const done = await Promise.all(databases.map((database) => migrate(database, tables)));
    expect(done.filter((steps) => steps.length > 0)).toHaveLength(1);
    const status = await migrationStatus(shared, tables);
    expect(status.executed.map(({ name }) => name)).toEqual([
      '001_change_log',
      '002_nodes',
      '003_nodes_of_control_planes',
      '004_keys_of_nodes',
      '005_shared_records',
      '006_shared_counts',
      '007_signing_keys',
      '008_releases',
      '009_telemetry',
      '010_history_of_nodes',
      '011_release_parts',
      '012_authors_of_changes',
      '013_messages',
    ]);
    expect(status).toMatchObject({ pending: [], tables: [] });
  });

  test('a field that is added to a schema is added to its table, and rows there get its default', async () => {
    const settings = await backend.fresh('empty');
    const first = withWidgets({
      cache_key: ['size', 'owner'],
      fields: { id: uuid, size: { type: 'integer' }, owner: { type: 'string' } },
    });
    const before = opened(await openStore(settings, { migrate: true, schemas: first }));
    const old = await (await workspaceOf(before)).entity('widgets').insert({ size: 3 });
    await closeAll();

    const second = withWidgets({
      cache_key: ['size', 'owner', 'color'],
      fields: {
        id: uuid,
        size: { type: 'integer' },
        owner: { type: 'string' },
        color: { type: 'string', default: "o'range" },
        sizes: { type: 'set', elements: { type: 'string' }, default: ['s', 'm'] },
        options: { type: 'map', keys: { type: 'string' }, values: { type: 'any' }, default: { a: [1] } },
        on: { type: 'boolean', default: true },
        service: { type: 'foreign', reference: 'services', on_delete: 'null' },
      },
    });
    const after = opened(await openStore(settings, { migrate: true, schemas: second }));
    const here = await workspaceOf(after);
    const widgets = here.entity('widgets');
    expect(await widgets.select({ id: String(old.id) })).toEqual({
      ...old,
      color: "o'range",
      sizes: ['s', 'm'],
      options: { a: [1] },
      on: true,
      service: null,
    });
    // The wider cache key has taken the place of the narrower one, and treats nulls as equal.
    await widgets.insert({ size: 3, color: 'blue' });
    expect(await refusalBody(widgets.insert({ size: 3, color: 'blue' }))).toMatchObject({
      code: 5,
      fields: { size: 3, owner: null, color: 'blue' },
    });

    // `on_delete: null` lets go of the parent, as a logged change of the child.
    const service = await here.entity('services').insert({ name: 'let-go', host: 'a' });
    await widgets.update({ id: String(old.id) }, { service: { name: 'let-go' } });
    const serial = await after.changes.serial();
    await here.entity('services').delete({ id: String(service.id) });
    expect((await widgets.select({ id: String(old.id) }))?.service).toBeNull();
    const delta = await after.changes.delta(serial);
    expect(delta?.changes.map(({ entity, operation }) => `${operation} ${entity}`).sort()).toEqual([
      'delete services',
      'update widgets',
    ]);
  });

  test('a type that no longer fits its column is not changed behind anyone’s back', async () => {
    const settings = await backend.fresh('empty');
    const before = withWidgets({ fields: { id: uuid, size: { type: 'integer' } } });
    await (await openStore(settings, { migrate: true, schemas: before })).close();
    const after = withWidgets({ fields: { id: uuid, size: { type: 'string' } } });
    await expect(openStore(settings, { migrate: true, schemas: after })).rejects.toThrow(/widgets.size is bigint/);
    await (await openStore(settings, { schemas: before })).close();
  });
});
