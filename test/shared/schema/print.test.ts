import { describe, expect, test } from 'vitest';
import { entities } from '../../../shared/entities/registry.ts';
import { expressionRoutes, routes } from '../../../shared/entities/routes.ts';
import { vaults } from '../../../shared/entities/vaults.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
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

function printed(schema: Parameters<typeof printSchema>[0]): unknown {
  const text = JSON.stringify(printSchema(schema));
  return JSON.parse(
    text.replace(/("secret":\{"type":"string","required":false,"default":)"[A-Za-z0-9]{44}"/, `$1${secret}`),
  );
}
