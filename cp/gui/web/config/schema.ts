import { isRecord, type Row, recordOrEmpty } from '../../../../shared/record.ts';

/** How a field is filled in. */
export type Widget =
  | 'text'
  | 'lines'
  | 'number'
  | 'switch'
  | 'choice'
  | 'choices'
  | 'words'
  | 'list'
  | 'map'
  | 'record'
  | 'reference'
  | 'json';

/** A field as a form needs it, read from `GET /schemas/…`. */
export interface FormField {
  readonly name: string;
  readonly widget: Widget;
  /** Numbers without a fraction. */
  readonly integer: boolean;
  readonly required: boolean;
  /** As a form begins with it; null: nothing. */
  readonly initial: unknown;
  /** What may be chosen, of the field or of its elements. */
  readonly options: readonly (string | number)[];
  /** Of a list, and of a map's values. */
  readonly elements: FormField | null;
  /** Of a record. */
  readonly fields: readonly FormField[];
  /** The entity that is referred to. */
  readonly reference: string | null;
  readonly secret: boolean;
  /** Filled in by the control plane where it is left out. */
  readonly auto: boolean;
  /** May be a reference into a vault. */
  readonly referenceable: boolean;
  /** What it means. */
  readonly description: string;
  /** What is said of values besides: ranges, patterns. */
  readonly rule: string;
}

/** Fields that hold secrets though Kong's schemas do not say so. */
const SECRET = /secret|password|private_key|^(?:key|token|api_key|keyring)$|_token$|access_key/;
/** Those look like secrets and are none. */
const NO_SECRET =
  /^(?:key_names|token_name|hide_|.*_key_claim|.*claim.*|.*header.*|.*endpoint.*|.*url.*|secret_is_base64|.*_ttl|.*_expiration|.*expiry.*)/;
/** Texts of several lines. */
const LINES =
  /^(?:cert|cert_alt|key_alt|expression|body|message|body_template|template|proto|script|functions|modules|handler|schema|pem|jwk|rsa_public_key|description|prompt|content|access|rewrite|certificate|header_filter|body_filter|log|ws_.*)$/;

/** The fields of a printed schema, in its order. */
export function fieldsOf(schema: unknown): readonly FormField[] {
  const { fields } = recordOrEmpty(schema);
  if (!Array.isArray(fields)) return [];
  return fields.flatMap((entry: unknown) =>
    Object.entries(recordOrEmpty(entry)).map(([name, rules]) => fieldOf(name, recordOrEmpty(rules))),
  );
}

function fieldOf(name: string, rules: Readonly<Row>): FormField {
  const widget = widgetOf(name, rules);
  const elements = recordOrEmpty(rules.type === 'map' ? rules.values : rules.elements);
  const chosen = widget === 'choices' ? elements.one_of : rules.one_of;
  const secret = rules.encrypted === true || (SECRET.test(name) && !NO_SECRET.test(name));
  return {
    name,
    widget,
    integer: rules.type === 'integer' || elements.type === 'integer',
    required: rules.required === true,
    initial: initialOf(rules, widget),
    options: Array.isArray(chosen) ? chosen.filter((one) => typeof one === 'string' || typeof one === 'number') : [],
    elements: 'type' in elements ? fieldOf(name, elements) : null,
    fields: widget === 'record' ? fieldsOf(rules) : [],
    reference: typeof rules.reference === 'string' ? rules.reference : null,
    secret: secret && (widget === 'text' || widget === 'lines'),
    auto: rules.auto === true,
    referenceable: rules.referenceable === true,
    description: typeof rules.description === 'string' ? rules.description : '',
    rule: ruleOf(rules),
  };
}

function widgetOf(name: string, rules: Readonly<Row>): Widget {
  const elements = recordOrEmpty(rules.elements);
  switch (rules.type) {
    case 'string':
      if (Array.isArray(rules.one_of)) return 'choice';
      return LINES.test(name) || (name === 'key' && rules.referenceable === true) ? 'lines' : 'text';
    case 'function':
      return 'lines';
    case 'number':
    case 'integer':
      return Array.isArray(rules.one_of) ? 'choice' : 'number';
    case 'boolean':
      return rules.required === true || typeof rules.default === 'boolean' ? 'switch' : 'choice';
    case 'set':
    case 'array':
      if (Array.isArray(elements.one_of)) return 'choices';
      if (elements.type === 'number' || elements.type === 'integer') return 'words';
      return elements.type === 'string' && !LINES.test(name) ? 'words' : 'list';
    case 'map':
      return 'map';
    case 'record':
      return 'record';
    case 'foreign':
      return 'reference';
    default:
      return 'json';
  }
}

/** Lua prints an empty map as a list. */
function initialOf(rules: Readonly<Row>, widget: Widget): unknown {
  const given = rules.default ?? null;
  if ((widget === 'map' || widget === 'record') && Array.isArray(given) && given.length === 0) return {};
  if (widget === 'switch' && given === null) return false;
  if (widget !== 'record') return given;
  const fields = fieldsOf(rules);
  // Kong fills in a record that must be there from the defaults of its fields.
  if (given === null && rules.required !== true) return null;
  return { ...initialValues(fields), ...recordOrEmpty(given) };
}

function ruleOf(rules: Readonly<Row>): string {
  const words: string[] = [];
  if (Array.isArray(rules.between)) words.push(`${rules.between[0]} to ${rules.between[1]}`);
  if (typeof rules.gt === 'number') words.push(`more than ${rules.gt}`);
  if (typeof rules.starts_with === 'string') words.push(`begins with ${rules.starts_with}`);
  if (typeof rules.len_min === 'number' && rules.len_min > 1) words.push(`at least ${rules.len_min} long`);
  if (typeof rules.len_max === 'number') words.push(`at most ${rules.len_max} long`);
  if (rules.referenceable === true) words.push('may be a {vault://…} reference');
  return words.join(', ');
}

/** What a form of these fields begins with. */
export function initialValues(fields: readonly FormField[]): Row {
  return Object.fromEntries(fields.map(({ name, initial }) => [name, initial]));
}

/** A stored row as a form holds it: every field is there. What is no field of the form stays out. */
export function formValues(fields: readonly FormField[], row: Readonly<Row>): Row {
  return Object.fromEntries(fields.map((field) => [field.name, formValue(field, row[field.name] ?? null)]));
}

function formValue(field: FormField, value: unknown): unknown {
  if (field.widget === 'record') return isRecord(value) ? formValues(field.fields, value) : null;
  if (field.widget === 'map' && Array.isArray(value) && value.length === 0) return {};
  return value;
}

/** The body that makes a row: what is other than it would be by itself. */
export function creationBody(fields: readonly FormField[], values: Readonly<Row>): Row {
  return Object.fromEntries(
    fields.flatMap((field) => {
      const given = values[field.name];
      const value = cleaned(field, given);
      if (same(value, field.initial)) return [];
      // What was emptied would be filled in again if nothing were said; what must be there is filled in whatever is said.
      if (isNothing(value)) return given === undefined || field.required || field.auto ? [] : [[field.name, null]];
      if (field.widget !== 'record' || !isRecord(value)) return [[field.name, value]];
      const inside = creationBody(field.fields, value);
      // A record that would not be there by itself is wanted, though all in it is as usual.
      return Object.keys(inside).length === 0 && field.initial !== null ? [] : [[field.name, inside]];
    }),
  );
}

/** The body that changes a row from one state to another: whole fields, null for those that go. */
export function changeBody(fields: readonly FormField[], from: Readonly<Row>, to: Readonly<Row>): Row {
  return Object.fromEntries(
    fields.flatMap((field) => {
      const stored = from[field.name];
      const [before, after] = [cleaned(field, stored, stored), cleaned(field, to[field.name], stored)];
      if (same(before, after)) return [];
      return [[field.name, isNothing(after) ? null : after]];
    }),
  );
}

/** An empty text is nothing, unless it is what is `stored`, and what a record or a list holds is cleaned likewise. */
function cleaned(field: FormField, value: unknown, stored?: unknown): unknown {
  if (value === '' && stored === '') return value;
  if (value === '' || value === undefined) return null;
  if (field.widget === 'record' && isRecord(value)) {
    const before = recordOrEmpty(stored);
    const inside = field.fields.map((one) => [one.name, cleaned(one, value[one.name], before[one.name])]);
    return { ...value, ...Object.fromEntries(inside) };
  }
  const { elements } = field;
  if (field.widget === 'list' && Array.isArray(value) && elements !== null) {
    return value.map((item: unknown) =>
      elements.widget === 'record' && isRecord(item) ? creationBody(elements.fields, item) : item,
    );
  }
  return value;
}

const isNothing = (value: unknown): boolean => value === null || value === undefined;

/** Whether two values of JSON are the same; of records, what is null is not there. */
export function same(a: unknown, b: unknown): boolean {
  if (isNothing(a) || isNothing(b)) return isNothing(a) && isNothing(b);
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  if (!isRecord(a) || !isRecord(b)) return Object.is(a, b);
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => same(a[key], b[key]));
}
