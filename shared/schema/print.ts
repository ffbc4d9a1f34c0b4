import { isRecord, type Row } from '../record.ts';
import type { Described } from './shape.ts';
import type { EntityCheck, Field, Fields, PatternRule, ShorthandField } from './vocabulary.ts';

/** A schema as `GET /schemas/*` shows it. */
interface PrintedSchema {
  readonly fields: readonly PrintedField[];
  readonly entity_checks: readonly object[];
}

/** One field: `{name: {type, …}}`. A list of these keeps the order. */
type PrintedField = Readonly<Record<string, object>>;

/**
 * The body of `GET /schemas/{entity}` and `GET /schemas/plugins/{name}`: plain data, functions left out. `extensions`: with the
 * fields that Kong does not have.
 */
export function printSchema(schema: Described, extensions = false): PrintedSchema {
  const { fields, entity_checks } = schema;
  const published = (entity_checks ?? []).filter((check) => extensions || !namesExtension(check, fields));
  return { fields: printFields(fields, extensions), entity_checks: printChecks(published) };
}

function printFields(fields: Fields, extensions: boolean): PrintedField[] {
  return Object.entries(fields)
    .filter(([, field]) => extensions || field.extension !== true)
    .map(([name, field]) => ({ [name]: printRules(field, extensions) }));
}

function namesExtension(check: EntityCheck, fields: Fields): boolean {
  const names: unknown[] = Object.values(check).flat();
  return names.some((name) => typeof name === 'string' && fields[name]?.extension === true);
}

function printChecks(checks: readonly EntityCheck[] | undefined): object[] {
  return (checks ?? []).map((check) =>
    Object.fromEntries(
      Object.entries(check).map(([kind, rule]) => [kind, isRecord(rule) ? printRules(rule, false) : rule]),
    ),
  );
}

/** Fields, matches and the arguments of checks are all sets of rules; each kind of rule has its own printed form. */
function printRules(rules: Field | Readonly<Record<string, unknown>>, extensions: boolean): object {
  const printed: Record<string, unknown> = {};
  for (const [rule, value] of Object.entries(rules)) {
    if (typeof value === 'function' || value === undefined) continue;
    const form = printRule(rule, value, extensions);
    if (form !== undefined) printed[rule] = form;
  }
  // A field that only a sub-schema defines has nothing of its own to show.
  if (printed.abstract) delete printed.fields;
  return printed;
}

function printRule(rule: string, value: unknown, extensions: boolean): unknown {
  switch (rule) {
    case 'head':
    case 'also':
    case 'caseless':
      return undefined;
    case 'deprecation':
      return isRecord(value) ? withoutAdvice(value) : value;
    case 'fields':
      return isFields(value) ? printFields(value, extensions) : value;
    case 'entity_checks':
      return isChecks(value) ? printChecks(value) : value;
    case 'shorthand_fields':
      return isShorthands(value) ? value.map(({ name, field }) => printShorthand(name, field, extensions)) : value;
    case 'elements':
    case 'keys':
    case 'values':
    case 'if_match':
    case 'then_match':
    case 'else_match':
      return isRecord(value) ? printRules(value, extensions) : value;
    case 'match':
    case 'not_match':
      return isPattern(value) ? value.pattern : value;
    case 'match_none':
    case 'match_all':
      return Array.isArray(value) ? value.filter(isPattern).map(printPattern) : value;
    case 'match_any':
      return isRecord(value) ? printAny(value) : value;
    case 'default':
    case 'eq':
    case 'ne':
      return printValue(value);
    case 'between':
      return Array.isArray(value) ? value.map(printValue) : value;
    default:
      return value;
  }
}

/** A field that has been replaced says by which. */
function printShorthand(name: string, field: Field, extensions: boolean): PrintedField {
  const { replaced_with: [replacement] = [], instead } = field.deprecation ?? {};
  const path = replacement?.path ?? instead;
  return {
    [name]: {
      ...(path !== undefined && { description: `An earlier name of ${path.join('.')}.` }),
      ...printRules(field, extensions),
    },
  };
}

function printPattern({ pattern, err }: PatternRule): object {
  return { pattern, ...(err !== undefined && { err }) };
}

function printAny(rule: Readonly<Record<string, unknown>>): object {
  const patterns = Array.isArray(rule.patterns) ? rule.patterns.filter(isPattern) : [];
  return { ...rule, patterns: patterns.map(({ pattern }) => pattern) };
}

/** Lua has one empty table, printed as a list, and spells infinity out. */
function printValue(value: unknown): unknown {
  if (value === Number.POSITIVE_INFINITY) return 'inf';
  if (value === Number.NEGATIVE_INFINITY) return '-inf';
  if (Array.isArray(value)) return value.map(printValue);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value);
  return entries.length === 0 ? [] : Object.fromEntries(entries.map(([key, item]) => [key, printValue(item)]));
}

function isPattern(value: unknown): value is PatternRule {
  return isRecord(value) && typeof value.pattern === 'string';
}

function withoutAdvice({ instead: _, inert: __, ...printed }: Row): object {
  return printed;
}

function isFields(value: unknown): value is Fields {
  return isRecord(value) && Object.values(value).every((field) => isRecord(field) && typeof field.type === 'string');
}

function isChecks(value: unknown): value is readonly EntityCheck[] {
  return Array.isArray(value);
}

function isShorthands(value: unknown): value is readonly ShorthandField[] {
  return Array.isArray(value);
}
