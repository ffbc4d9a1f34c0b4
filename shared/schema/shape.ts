import { type Check, compileCheck } from './checks.ts';
import { compileRule, type Rule } from './rules.ts';
import type { EntityCheck, Field, Fields, ShorthandField, Subschema } from './vocabulary.ts';

/** A schema prepared for use: look-ups by name, rules and checks compiled once. */
export interface Shape {
  readonly slots: readonly Slot[];
  readonly byName: ReadonlyMap<string, Slot>;
  readonly shorthands: readonly Alias[];
  readonly checks: readonly Check[];
}

interface Slot {
  readonly name: string;
  readonly field: Field;
  readonly rule: Rule;
}

/** A shorthand field, ready for use. */
export interface Alias extends ShorthandField {
  readonly rule: Rule;
  /** Where the value of a deprecated alias is read back from. */
  readonly source?: readonly string[];
}

/** Anything with a table of fields: an entity, a plugin, a nested record. */
export interface Described {
  readonly fields: Fields;
  readonly entity_checks?: readonly EntityCheck[];
  readonly shorthand_fields?: readonly ShorthandField[];
}

const shapes = new WeakMap<Described, Shape>();
const joined = new WeakMap<Described, WeakMap<Subschema, Shape>>();

/** The shape of a schema, compiled at its first use. */
export function shapeOf(schema: Described): Shape {
  let shape = shapes.get(schema);
  if (!shape) {
    shape = compile(schema.fields, schema, []);
    shapes.set(schema, shape);
  }
  return shape;
}

/** The shape of `schema` with the sub-schema's fields in the place of its own and both sets of checks, its own first. */
export function shapeWith(schema: Described, subschema: Subschema | undefined): Shape {
  if (!subschema) return shapeOf(schema);
  let bySubschema = joined.get(schema);
  if (!bySubschema) {
    bySubschema = new WeakMap();
    joined.set(schema, bySubschema);
  }
  let shape = bySubschema.get(subschema);
  if (!shape) {
    shape = compile({ ...schema.fields, ...subschema.fields }, schema, subschema.entity_checks ?? [], subschema);
    bySubschema.set(subschema, shape);
  }
  return shape;
}

function compile(fields: Fields, schema: Described, more: readonly EntityCheck[], subschema?: Subschema): Shape {
  const slots = Object.entries(fields).map(([name, field]) => ({ name, field, rule: compileRule(field) }));
  const shorthands = [...(schema.shorthand_fields ?? []), ...(subschema?.shorthand_fields ?? [])];
  return {
    slots,
    byName: new Map(slots.map((slot) => [slot.name, slot])),
    shorthands: shorthands.map((shorthand) => {
      const source = shorthand.field.deprecation?.replaced_with?.[0]?.path;
      return { ...shorthand, rule: compileRule(shorthand.field), ...(source && { source }) };
    }),
    checks: [
      ...(schema.entity_checks ?? []).map((check) => compileCheck(check, schema.fields)),
      ...more.map((check) => compileCheck(check, fields)),
    ],
  };
}
