import type { BundleRow } from '../../shared/bundle/format.ts';
import { isRecord } from '../../shared/record.ts';
import { ConfigError } from './config-error.ts';

const TOP = { at: '', fields: {} };
const NONE: readonly never[] = [];

const isString = (value: unknown): value is string => typeof value === 'string';
const isNumber = (value: unknown): value is number => typeof value === 'number';

/**
 * Reads the fields of one bundle row, once, when config is applied. The control plane has validated the row, so a field
 * of another type means the planes disagree on the schema: the config is refused, naming row and field.
 */
export class RowReader {
  readonly id: string;
  readonly #table: string;
  readonly #source: BundleRow;
  readonly #row: Readonly<Record<string, unknown>>;
  /** Path of the nested record this reader stands in, with a trailing dot. */
  readonly #at: string;

  constructor(table: string, row: BundleRow, nested: { at: string; fields: Readonly<Record<string, unknown>> } = TOP) {
    this.id = row.id;
    this.#table = table;
    this.#source = row;
    this.#row = nested === TOP ? row : nested.fields;
    this.#at = nested.at;
  }

  string(field: string): string {
    const value = this.#row[field];
    if (typeof value !== 'string') throw this.refuse(field, 'a string', value);
    return value;
  }

  optionalString(field: string): string | null {
    const value = this.#row[field];
    if (value === null || value === undefined) return null;
    if (typeof value !== 'string') throw this.refuse(field, 'a string', value);
    return value;
  }

  number(field: string, otherwise?: number): number {
    const value = this.#row[field] ?? otherwise;
    if (typeof value !== 'number') throw this.refuse(field, 'a number', value);
    return value;
  }

  optionalNumber(field: string): number | null {
    const value = this.#row[field];
    if (value === null || value === undefined) return null;
    if (typeof value !== 'number') throw this.refuse(field, 'a number', value);
    return value;
  }

  boolean(field: string, otherwise: boolean): boolean {
    const value = this.#row[field] ?? otherwise;
    if (typeof value !== 'boolean') throw this.refuse(field, 'a boolean', value);
    return value;
  }

  optionalBoolean(field: string): boolean | null {
    const value = this.#row[field];
    if (value === null || value === undefined) return null;
    if (typeof value !== 'boolean') throw this.refuse(field, 'a boolean', value);
    return value;
  }

  /** The id a foreign key refers to. */
  reference(field: string): string | null {
    const value = this.#row[field];
    if (value === null || value === undefined) return null;
    if (typeof value !== 'object' || !('id' in value) || typeof value.id !== 'string')
      throw this.refuse(field, 'a reference {id}', value);
    return value.id;
  }

  strings(field: string): readonly string[] {
    return this.#list(field, 'string', isString);
  }

  optionalStrings(field: string): readonly string[] | null {
    const value = this.#row[field];
    return value === null || value === undefined ? null : this.strings(field);
  }

  numbers(field: string): readonly number[] {
    return this.#list(field, 'number', isNumber);
  }

  /** A nested record; an absent one reads as empty, so that its fields get their defaults. */
  record(field: string): RowReader {
    const value = this.#row[field] ?? {};
    if (!isRecord(value)) throw this.refuse(field, 'a record', value);
    return new RowReader(this.#table, this.#source, { at: `${this.#at}${field}.`, fields: value });
  }

  raw(field: string): unknown {
    return this.#row[field];
  }

  refuse(field: string, wanted: string, value: unknown): ConfigError {
    const shown = JSON.stringify(value) ?? 'undefined';
    return this.error(`${this.#at}${field} must be ${wanted}, got ${shown.slice(0, 80)}`);
  }

  error(reason: string): ConfigError {
    return new ConfigError(`${this.#table} ${this.id}: ${reason}`);
  }

  /** The row's own, which nobody changes. */
  #list<T>(field: string, type: string, is: (value: unknown) => value is T): readonly T[] {
    const value: unknown = this.#row[field] ?? NONE;
    if (!Array.isArray(value) || !value.every(is)) throw this.refuse(field, `a list of ${type}s`, value);
    return value;
  }
}
