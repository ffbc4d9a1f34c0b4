import type { Requirement } from '../cluster/need.ts';
import type { Row } from '../record.ts';

/**
 * The vocabulary entity and plugin schemas are written in: Kong's own schema language as plain data, so that one
 * table of fields is the source of validation, defaults, TypeScript types, `/schemas/*`, OpenAPI, and the database's
 * columns. Property names are Kong's (snake_case) because `GET /schemas/*` prints them as they stand.
 */

import type { HeadPart } from '../head.ts';

/** Returns the error text, or nothing when the value is fine. Runs last, after the declarative rules passed. */
type CustomValidator<T = unknown> = (value: T) => string | undefined;

/** A pattern rule with the text it fails with. `pattern` is the Lua pattern Kong publishes, `regex` what tests a value. */
export interface PatternRule {
  readonly pattern: string;
  readonly regex: Pick<RegExp, 'test'>;
  readonly err?: string;
}

interface FieldBase {
  /** Must be present and not null on insert; PATCH may leave it out but not null it. */
  readonly required?: boolean;
  readonly default?: unknown;
  /** Filled by the control plane when absent: uuid for `uuid`, seconds for `timestamp`, 32 random letters and digits for strings. */
  readonly auto?: boolean;
  readonly unique?: boolean;
  readonly unique_across_ws?: boolean;
  readonly immutable?: boolean;
  /** May hold a `{vault://…}` reference, which skips every other rule. */
  readonly referenceable?: boolean;
  /** A secret. Only printed, as in Kong's schemas: Kong encrypts such fields in its Enterprise edition alone. */
  readonly encrypted?: boolean;
  readonly abstract?: boolean;
  /** Accepted on input and shown, but not a column of the row's own (`certificates.snis`). */
  readonly transient?: boolean;
  /** Not part of the Kong whose API this follows: rows show it only where it is set, and `/schemas/*` leaves it out. */
  readonly extension?: boolean;
  readonly eq?: unknown;
  readonly ne?: unknown;
  readonly err?: string;
  readonly description?: string;
  readonly deprecation?: Deprecation;
}

/** Why and until when a field is still accepted. `replaced_with`: the fields that hold the value now. */
export interface Deprecation {
  /** What the log is told, in the words of a plugin in Lua. */
  readonly message?: string;
  /** What to use now, beside the field. Not printed. */
  readonly instead?: readonly string[];
  /** It is taken, and does nothing. Not printed. */
  readonly inert?: boolean;
  readonly removal_in_version?: string;
  readonly old_default?: unknown;
  readonly replaced_with?: readonly { readonly path: readonly string[] }[];
}

export interface StringField extends FieldBase {
  readonly type: 'string';
  readonly one_of?: readonly string[];
  /** Taken beside `one_of`. Not printed: Kong does not know them. */
  readonly also?: readonly string[];
  readonly not_one_of?: readonly string[];
  readonly uuid?: boolean;
  readonly is_regex?: boolean;
  readonly len_eq?: number;
  readonly len_min?: number;
  readonly len_max?: number;
  readonly starts_with?: string;
  readonly match?: PatternRule;
  readonly not_match?: PatternRule;
  readonly match_none?: readonly PatternRule[];
  readonly match_all?: readonly PatternRule[];
  readonly match_any?: { readonly patterns: readonly PatternRule[]; readonly err?: string };
  readonly custom_validator?: CustomValidator<string>;
  /** Stands in the head of messages, where nothing may end a line. Not printed: Kong finds out with requests. */
  readonly head?: HeadPart;
  /** Two values that differ in the case of letters alone are the same to `unique` and to look-ups. Not printed. */
  readonly caseless?: boolean;
}

export interface NumberField extends FieldBase {
  readonly type: 'number' | 'integer';
  readonly one_of?: readonly number[];
  readonly between?: readonly [number, number];
  readonly gt?: number;
  readonly timestamp?: boolean;
  readonly custom_validator?: CustomValidator<number>;
}

interface BooleanField extends FieldBase {
  readonly type: 'boolean';
}

interface Lengths {
  readonly len_eq?: number;
  readonly len_min?: number;
  readonly len_max?: number;
}

export interface ArrayField extends FieldBase, Lengths {
  readonly type: 'array' | 'set';
  readonly elements: Field;
  readonly contains?: unknown;
  readonly mutually_exclusive_subsets?: readonly (readonly string[])[];
  readonly custom_validator?: CustomValidator<readonly unknown[]>;
}

interface MapField extends FieldBase, Lengths {
  readonly type: 'map';
  readonly keys: Field;
  readonly values: Field;
  readonly custom_validator?: CustomValidator<Readonly<Record<string, unknown>>>;
}

interface RecordField extends FieldBase {
  readonly type: 'record';
  readonly fields: Fields;
  readonly entity_checks?: readonly EntityCheck[];
  readonly shorthand_fields?: readonly ShorthandField[];
  readonly custom_validator?: CustomValidator<Readonly<Record<string, unknown>>>;
}

export interface ForeignField extends FieldBase {
  readonly type: 'foreign';
  /** The entity referred to, by its DAO name: `services`, `key_sets`… */
  readonly reference: string;
  /** What happens to this row when the row referred to is deleted. Kong's default, `restrict`, when absent. */
  readonly on_delete?: 'cascade' | 'null' | 'restrict';
}

/** Any JSON value, for the few plugin fields Kong types as `any` or `json`. */
interface AnyField extends FieldBase {
  readonly type: 'any' | 'json' | 'function';
  readonly json_schema?: Readonly<Record<string, unknown>>;
  readonly custom_validator?: CustomValidator;
}

export type Field =
  | StringField
  | NumberField
  | BooleanField
  | ArrayField
  | MapField
  | RecordField
  | ForeignField
  | AnyField;

/** Order is the order of `/schemas/*` and of the rows' keys. */
export type Fields = { readonly [name: string]: Field };

/**
 * An alias accepted on input and rewritten into other fields before validation (`services.url`, plugin `redis_host`).
 * What `expand` returns replaces what the input says, except for a deprecated alias, which gives way to the fields
 * that replace it. A deprecated alias with `replaced_with` is also shown in rows, read back from its replacement.
 */
export interface ShorthandField {
  readonly name: string;
  readonly field: Field;
  readonly expand: (value: unknown) => Readonly<Record<string, unknown>>;
}

type Ruled = 'type' | 'default' | 'auto' | 'one_of' | 'not_one_of' | 'custom_validator';

/** The rules an entity check may apply to a field's value, same words as on fields. */
export type Match = Omit<StringField, Ruled> &
  Omit<NumberField, Ruled> & {
    readonly type?: Field['type'];
    readonly one_of?: readonly unknown[];
    readonly not_one_of?: readonly unknown[];
    readonly contains?: unknown;
    readonly elements?: Match;
  };

export type EntityCheck =
  | { readonly at_least_one_of: readonly string[] }
  | { readonly only_one_of: readonly string[] }
  | { readonly distinct: readonly string[] }
  | { readonly mutually_required: readonly string[] }
  | { readonly mutually_exclusive: readonly string[] }
  | {
      readonly conditional: {
        readonly if_field: string;
        readonly if_match: Match;
        readonly then_field: string;
        readonly then_match: Match;
        readonly then_err?: string;
      };
    }
  | {
      readonly conditional_at_least_one_of: {
        readonly if_field: string;
        readonly if_match: Match;
        readonly then_at_least_one_of: readonly string[];
        /** `%s` stands for the quoted list of fields. */
        readonly then_err?: string;
        readonly else_match?: Match;
        readonly else_then_at_least_one_of?: readonly string[];
        readonly else_then_err?: string;
      };
    }
  | {
      readonly custom_entity_check: {
        readonly field_sources: readonly string[];
        readonly run_with_missing_fields?: boolean;
        readonly run_with_invalid_fields?: boolean;
        /**
         * A string is an `@entity` error; an object gives field errors. May be a promise where WebCrypto is needed
         * (a certificate against its key), but only in an entity's own checks, not in those of nested records.
         */
        readonly fn: (
          row: Readonly<Record<string, unknown>>,
        ) => string | FieldErrors | undefined | Promise<string | FieldErrors | undefined>;
      };
    };

/**
 * What is stored in another form than it is given in: a password as its digest, a certificate's fingerprint beside it.
 * Runs after validation when every field of `input` is in the request's body; all of `input` and `needs` must be set.
 */
interface Transformation {
  readonly input: readonly string[];
  readonly needs?: readonly string[];
  /** Gives the same again from what it gave, and hides nothing: also run on rows that come in their stored form. */
  readonly derives?: boolean;
  /** Gets the complete row and returns the fields to replace. */
  readonly on_write: (row: Readonly<Record<string, unknown>>) => Promise<Readonly<Record<string, unknown>>>;
  /** For an outcome that is another one each time (a salted hash): whether `stored` can have come of what is given. */
  readonly can_be_from?: (
    given: Readonly<Record<string, unknown>>,
    stored: Readonly<Record<string, unknown>>,
  ) => Promise<boolean>;
}

/** What a value of the sub-schema key adds: fields that take the place of the parent's, and further checks. */
export interface Subschema {
  readonly fields: Fields;
  readonly entity_checks?: readonly EntityCheck[];
  readonly shorthand_fields?: readonly ShorthandField[];
}

/** Errors mirror the input: nested records are objects, arrays have `null` holes, `@entity` lists whole-row errors. */
export interface FieldErrors {
  [field: string]: FieldError;
}

export type FieldError = string | FieldErrors | FieldErrorList;

/** By position; `null` where the item is fine. */
export interface FieldErrorList extends Array<FieldError | null> {}

/** How an entity's rows travel to data planes. Absent on an entity: they do not (`db_export: false`). */
export type BundleRule =
  /** Loaded whole into every isolate. */
  | { readonly mode: 'eager' }
  /**
   * Spread by `lookup`, the value a request finds the row by, and loaded when a request asks.
   * `hashed`: fields that travel as lower-case hex SHA-256 only, so that a stolen bundle holds no usable secret; `unless`: but for
   * rows where this field is true, whose secrets are stored as hashes already.
   * `also`: further fields a request may know the row by. Each makes one more lazy table (`indexTable`), spread by that
   * field, whose rows hold only the id to look up next: changing anything else of a row does not change it.
   */
  | {
      readonly mode: 'lazy';
      readonly lookup: string;
      readonly hashed?: readonly string[];
      readonly unless?: string;
      readonly also?: readonly string[];
    };

export interface EntitySchema<F extends Fields = Fields> {
  /** DAO and table name: `services`, `keyauth_credentials`. */
  readonly name: string;
  readonly fields: F;
  readonly primary_key: readonly string[];
  /** The field that may stand for the id in paths and references. */
  readonly endpoint_key?: string;
  /** Fields whose combination is unique within a workspace (plugins, targets, acls…). */
  readonly cache_key?: readonly string[];
  readonly workspaceable?: boolean;
  /** Rows may carry `ttl` (seconds) and vanish when it has run out. */
  readonly ttl?: boolean;
  readonly entity_checks?: readonly EntityCheck[];
  readonly shorthand_fields?: readonly ShorthandField[];
  /** The field whose value chooses a sub-schema (`plugins.name`, `vaults.name`), and the error for an unknown one. */
  readonly subschema_key?: string;
  readonly subschema_error?: string;
  /** The sub-schemas an entity brings itself (routes by protocol); plugins' come from their own registry. */
  readonly subschemas?: Readonly<Record<string, Subschema>>;
  readonly transformations?: readonly Transformation[];
  /** False: no paths of its own in the Admin API. */
  readonly generate_admin_api?: boolean;
  /** Path segment when it differs from `name` (`key-auths`), and when nested under a parent (`key-auth`). */
  readonly admin_api_name?: string;
  readonly admin_api_nested_name?: string;
  /** False: neither exported declaratively nor published. */
  readonly db_export?: boolean;
  /** A document that names none says nothing of them: one that replaces the config leaves those there are. Kong's files know none. */
  readonly kept_unless_named?: true;
  readonly bundle?: BundleRule;
  /**
   * Data planes make rows of this entity too, so they are no config: they travel at once, as records of the collections
   * `<entity>.<field>` for each of these fields, by the SHA-256 of its value, and are in no bundle but a declarative config's.
   * The rows of the first are how data planes write them.
   */
  readonly records?: readonly string[];
}

/** What a plugin is; what it does stands in `edge-dp/plugins/<name>.ts`. */
export interface PluginSchema<F extends Fields = Fields> {
  readonly name: string;
  /** SemVer; bundled plugins carry Kong's compatibility version. */
  readonly version: string;
  /** Higher runs first; ties by name, descending. */
  readonly priority: number;
  readonly phases: readonly string[];
  /** The `fields` Kong prints for the plugin: `consumer`/`route`/`service` limits, `protocols`, then `config`. */
  readonly fields: F;
  readonly entity_checks?: readonly EntityCheck[];
  readonly shorthand_fields?: readonly ShorthandField[];
  /** The credential and storage entities it brings, by DAO name. */
  readonly entities?: readonly string[];
  /**
   * What a configuration asks of the runtime it is served on (`need('udp', 'config.host', host)`): the control plane names what a
   * data plane cannot honour. `config` is complete and valid.
   */
  readonly needs?: (config: Readonly<Row>) => Iterable<Requirement>;
}

type Nullable<F, T> = F extends { readonly required: true } ? T : F extends { readonly auto: true } ? T : T | null;

/** Keeps the literal types of an entity's table, which the row type is inferred from. */
export function defineEntity<const S extends EntitySchema>(schema: S): S {
  return schema;
}

/** The same for a plugin. */
export function definePlugin<const S extends PluginSchema>(schema: S): S {
  return schema;
}

/** The same for a field or a group of fields that several schemas share. */
export function defineField<const F extends Field>(field: F): F {
  return field;
}

/** The TypeScript type of a stored value of a field. */
type FieldValue<F> = F extends { readonly type: 'string'; readonly one_of: readonly (infer V)[] }
  ? V | (F extends { readonly also: readonly (infer A)[] } ? A : never)
  : F extends { readonly type: 'string' }
    ? string
    : F extends { readonly type: 'number' | 'integer' }
      ? number
      : F extends { readonly type: 'boolean' }
        ? boolean
        : F extends { readonly type: 'array' | 'set'; readonly elements: infer E }
          ? FieldValue<E>[]
          : F extends { readonly type: 'map'; readonly values: infer V }
            ? Record<string, FieldValue<V>>
            : F extends { readonly type: 'record'; readonly fields: infer R extends Fields }
              ? RowOf<R>
              : F extends { readonly type: 'foreign' }
                ? { id: string }
                : unknown;

/** The TypeScript type of a stored row: every field present, `null` where unset. */
type RowOf<F extends Fields> = { -readonly [K in keyof F]: Nullable<F[K], FieldValue<F[K]>> };

/** The row type of an entity: `type Service = Entity<typeof services>`. */
export type Entity<S extends { readonly fields: Fields }> = RowOf<S['fields']>;
