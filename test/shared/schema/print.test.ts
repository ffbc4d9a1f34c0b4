import { describe, expect, test } from 'vitest';
import { entities } from '../../../shared/entities/registry.ts';
import { expressionRoutes, routes } from '../../../shared/entities/routes.ts';
import { vaults } from '../../../shared/entities/vaults.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
import { isRecord, recordOrEmpty } from '../../../shared/record.ts';
import { printSchema } from '../../../shared/schema/print.ts';
import kong from '../vectors/schemas.json' with { type: 'json' };

/** What Kong 3.9.3 answers to GET /schemas/*, without descriptions; what our own entities add is not in it. */
const recorded: {
  readonly entities: Record<string, object>;
  readonly subschemas: Record<string, Record<string, object>>;
  readonly plugins: Record<string, Plugin>;
} = kong;

interface Plugin {
  readonly priority: number;
  readonly phases: readonly string[];
  readonly fields: object;
  readonly entity_checks: object;
}

/** The one default that differs from process to process. */
const secret = JSON.stringify('<random 44-char string generated at process start>');

describe('schemas are printed as Kong prints them', () => {
  const known = entities.filter(({ name }) => name in recorded.entities);
  test.each(known.map((schema) => [schema.name, schema] as const))('%s', (name, schema) => {
    expect(printed(schema)).toEqual(recorded.entities[name]);
  });

  const divided = { routes, 'routes by expression': expressionRoutes, vaults };
  test.each(Object.entries(divided))('the sub-schemas of %s', (name, { subschemas }) => {
    const print = Object.entries(subschemas).map(([key, subschema]) => [key, printed(subschema)]);
    expect(Object.fromEntries(print)).toEqual(recorded.subschemas[name]);
  });

  test.each([...plugins])('plugin %s', (name, schema) => {
    const { priority, phases, ...rest } = recorded.plugins[name] ?? { priority: Number.NaN, phases: [] };
    expect(printed(schema)).toEqual(rest);
    expect([schema.version, schema.priority, schema.phases]).toEqual(['3.9.3', priority, phases]);
  });

  test('no entity and no plugin of Kong is missing', () => {
    expect(entities.map(({ name }) => name)).toEqual(expect.arrayContaining(Object.keys(recorded.entities)));
    expect([...plugins.keys()].sort()).toEqual(Object.keys(recorded.plugins).sort());
  });

  test('each is plain JSON', () => {
    for (const schema of [...entities, ...plugins.values()]) {
      const print = printSchema(schema);
      expect(JSON.parse(JSON.stringify(print))).toEqual(print);
    }
  });
});

describe('every field says what it means', () => {
  const whole = [...entities, expressionRoutes, ...Object.values(vaults.subschemas), ...plugins.values()];

  test('in a sentence of its own, wherever it is', () => {
    const without = whole.flatMap((schema) =>
      undescribed(printSchema(schema, true), 'name' in schema ? schema.name : 'vault'),
    );
    expect(without).toEqual([]);
  });

  test('and what Kong does not have is told only to who asks for it', () => {
    const names = (fields: readonly object[]) => fields.flatMap((field) => Object.keys(field));
    const schema = entities.find(({ name }) => name === 'plugins') ?? expect.fail('no plugins');
    expect(names(printSchema(schema).fields)).not.toContain('consumer_group');
    expect(names(printSchema(schema, true).fields)).toContain('consumer_group');
  });
});

/** Where fields have no description: `acme.config.storage_config.shm`. The settings of a plugin as a whole need none. */
function undescribed(rules: unknown, at: string): string[] {
  if (!isRecord(rules)) return [];
  const fields = [rules.fields, rules.shorthand_fields].flatMap((list) =>
    Array.isArray(list) ? list.flatMap((entry) => Object.entries(recordOrEmpty(entry))) : [],
  );
  const missing = fields.flatMap(([name, field]) => {
    const path = `${at}.${name}`;
    const said = recordOrEmpty(field).description;
    const isSaid = (typeof said === 'string' && /^\S.{3,}[.]$/.test(said)) || /^[^.]+\.config$/.test(path);
    return [...(isSaid ? [] : [path]), ...undescribed(field, path)];
  });
  return [...missing, ...undescribed(rules.elements, at), ...undescribed(rules.values, at)];
}

/** A printed schema without the texts that Kong's recorded ones have not. A field may be called `description`. */
const withoutTexts = (key: string, value: unknown): unknown =>
  key === 'description' && typeof value === 'string' ? undefined : value;

function printed(schema: Parameters<typeof printSchema>[0]): unknown {
  const text = JSON.stringify(printSchema(schema), withoutTexts);
  return JSON.parse(
    text.replace(/("secret":\{"type":"string","required":false,"default":)"[A-Za-z0-9]{44}"/, `$1${secret}`),
  );
}
