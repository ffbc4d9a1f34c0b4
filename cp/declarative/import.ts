import { type Document, readLongDocument, UnreadableDocument } from '../../shared/declarative/document.ts';
import { flattenErrors } from '../../shared/declarative/flatten-errors.ts';
import { nestedCollections } from '../../shared/declarative/items.ts';
import { InvalidConfig, type ParsedConfig, parseDeclarative, secondsLeft } from '../../shared/declarative/parse.ts';
import type { FitsAtOnce } from '../../shared/declarative/yaml-parts.ts';
import { entities } from '../../shared/entities/registry.ts';
import type { Row } from '../../shared/record.ts';
import { type Context, withoutAliases } from '../../shared/schema/complete.ts';
import { declarativeInvalid, KongError } from '../../shared/schema/errors.ts';
import type { EntitySchema } from '../../shared/schema/vocabulary.ts';
import type { Catalog } from '../store/catalog.ts';
import type { Workspace } from '../store/store.ts';
import { type EntityPlan, planImport } from './plan.ts';

/** What an import does with rows the document does not name: `upsert` leaves them, `replace` deletes them. */
type ImportMode = 'upsert' | 'replace';

interface ImportOptions {
  readonly mode: ImportMode;
  /** That of the context the config was parsed with. */
  readonly catalog: Catalog;
  /** What is done is taken back, so that several may be under way at once. */
  readonly isQuestion?: boolean;
  /** Called as rows are written, with how many of how many. */
  readonly progress?: (written: number, total: number) => void;
  /** Called when the work begins, which is more than once when the database asks for a retry. */
  readonly onStart?: () => void;
  /** Called with each declared row as it is stored in the end, and as it was before; null: there was none. */
  readonly onRow?: (entity: string, row: Row, before: Row | null) => void;
}

/** Another document is being loaded into the same workspace: of two at once, each would be planned without the other. */
export class WorkspaceBusy extends Error {
  override readonly name = 'WorkspaceBusy';
  constructor() {
    super('another document is being loaded into this workspace; try again');
  }
}

/** What an import came to. */
export interface ImportOutcome {
  /** Rows created or changed. */
  readonly written: number;
  readonly unchanged: number;
  readonly deleted: number;
  /** What was imported as asked but may not be what was meant, in whole sentences. */
  readonly warnings: readonly string[];
}

/** Rows written with one statement's worth of work between two reports of progress. */
const STEP = 2_000;

/** The document's errors as the Admin API answers them. */
export class InvalidDeclarativeConfig extends KongError {
  readonly invalid: InvalidConfig;
  readonly #flatten: boolean;

  constructor(invalid: InvalidConfig, flatten = false) {
    const { message, fields } = declarativeInvalid(invalid.fields);
    super(14, message, fields);
    this.invalid = invalid;
    this.#flatten = flatten;
  }

  /** The same error, told entity by entity (`flatten_errors=1`). */
  flattened(): InvalidDeclarativeConfig {
    return new InvalidDeclarativeConfig(this.invalid, true);
  }

  override body(): object {
    if (!this.#flatten) return super.body();
    const { fields, flattened } = flattenErrors(this.invalid);
    return { ...declarativeInvalid(fields).body(), flattened_errors: flattened };
  }
}

/** Reads a document of any length. Throws `KongError` code 14 for text that is none, and `TooMuchAtOnce`. */
export async function readConfig(document: string | Document, fits?: FitsAtOnce): Promise<Document> {
  if (typeof document !== 'string') return document;
  try {
    return await readLongDocument(document, fits);
  } catch (error) {
    if (error instanceof UnreadableDocument) throw declarativeInvalid({ error: error.message });
    throw error;
  }
}

/** Reads and checks a document. Throws `InvalidDeclarativeConfig`, or `KongError` code 14 for text that is none. */
export async function parseConfig(
  document: string | Document,
  context: Context,
  schemas: readonly EntitySchema[] = entities,
): Promise<ParsedConfig> {
  const read = await readConfig(document);
  try {
    return await parseDeclarative(read, context, schemas);
  } catch (error) {
    if (error instanceof InvalidConfig) throw new InvalidDeclarativeConfig(error);
    throw error;
  }
}

/**
 * Writes a parsed config into a workspace: one transaction, one serial, all or nothing. Rows that are there as they
 * should be are not touched, so a second import changes nothing. Throws `KongError` for what clashes with other rows, and
 * `WorkspaceBusy`.
 */
export async function importConfig(
  workspace: Workspace,
  config: ParsedConfig,
  { mode, catalog, isQuestion = false, progress, onStart, onRow }: ImportOptions,
): Promise<ImportOutcome> {
  const tables = declarable().map(({ name }) => catalog.table(name));
  return workspace.transaction(async (inside) => {
    onStart?.();
    if (!isQuestion && !(await inside.lockForDocument())) throw new WorkspaceBusy();
    // For the database it is the same moment throughout: what is left of rows' lives counts from there, however long a document is.
    const began = config.context.now();
    const context = { ...config.context, now: () => began, verbatim: !config.meta._transform };
    const plans = await planImport({ workspace: inside, config, tables, context, replace: mode === 'replace' });
    const total = plans.reduce((sum, { rows }) => sum + rows.length, 0);
    let done = 0;
    let written = 0;
    // What rows are unique by may pass from one to another, so those who must give it up do so first.
    for (const { table, vacate } of plans) await inside.entity(table.name).vacate(vacate);
    // Parents before their children, and what goes last: until then children may hang on it that only move elsewhere.
    for (const { table, rows } of plans) {
      const before = onRow && new Map(rows.flatMap(({ stored }) => (stored === null ? [] : [[stored.id, stored]])));
      const plain = (row: Row) => flattened(table.schema, row, context);
      const show = (row: Row) => {
        const was = before?.get(row.id);
        onRow?.(table.name, plain(row), was === undefined ? null : plain(was));
      };
      for (const { write, stored } of rows) if (write === null && stored !== null) show(stored);
      const writes = rows.flatMap(({ write }) => write ?? []);
      done += rows.length - writes.length;
      written += writes.length;
      for (let start = 0; start < writes.length; start += STEP) {
        const step = writes.slice(start, start + STEP);
        const inputs = step.map(({ input, ttl }) =>
          ttl === null ? input : { ...input, ttl: secondsLeft(ttl, context.now()) },
        );
        const rows = await inside.entity(table.name).upsertMany(inputs, { verbatim: context.verbatim });
        for (const row of rows) show(row);
        done += step.length;
        progress?.(done, total);
      }
    }
    let deleted = 0;
    for (const { table, surplus } of [...plans].reverse()) {
      if (surplus.length > 0) deleted += await inside.entity(table.name).deleteMany(surplus);
    }
    return { written, unchanged: total - written, deleted, warnings: mode === 'upsert' ? namelessWarning(plans) : [] };
  });
}

/** The row by itself: without aliases, and without what stands in a collection of its own. */
export function flattened(schema: EntitySchema, row: Row, context: Context): Row {
  const collections = nestedCollections(schema.name);
  const fields = Object.entries(withoutAliases(schema, row, context));
  return Object.fromEntries(fields.filter(([field]) => !collections.has(field)));
}

function namelessWarning(plans: readonly EntityPlan[]): string[] {
  const counts = plans.flatMap(({ table, nameless }) => (nameless === 0 ? [] : [`${nameless} in ${table.name}`]));
  if (counts.length === 0) return [];
  return [
    `entities without id and name were added (${counts.join(', ')}): once they are changed in the file, importing it ` +
      'adds them again beside these; give each an id',
  ];
}

/** The entities a document may hold, parents first. */
function declarable(): EntitySchema[] {
  return entities.filter(({ name, db_export }) => db_export !== false && name !== 'workspaces');
}
