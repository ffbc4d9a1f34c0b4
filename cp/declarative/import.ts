import { type Document, readDocument, UnreadableDocument } from '../../shared/declarative/document.ts';
import { flattenErrors } from '../../shared/declarative/flatten-errors.ts';
import {
  type DeclaredRow,
  InvalidConfig,
  type ParsedConfig,
  parseDeclarative,
} from '../../shared/declarative/parse.ts';
import { entities } from '../../shared/entities/registry.ts';
import type { Row } from '../../shared/record.ts';
import type { Context } from '../../shared/schema/complete.ts';
import { declarativeInvalid, KongError } from '../../shared/schema/errors.ts';
import type { EntitySchema } from '../../shared/schema/vocabulary.ts';
import type { Workspace } from '../store/store.ts';
import { sameRow } from './same-row.ts';

/** What an import does with rows the document does not name: `upsert` leaves them, `replace` deletes them. */
type ImportMode = 'upsert' | 'replace';

interface ImportOptions {
  readonly mode: ImportMode;
  /** The one the config was parsed with. */
  readonly context: Context;
  /** Called as rows are written, with how many of how many. */
  readonly progress?: (written: number, total: number) => void;
}

/** Rows written with one statement's worth of work between two reports of progress. */
const STEP = 2_000;
const PAGE = 1_000;

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

/** Reads and checks a document. Throws `InvalidDeclarativeConfig`, or `KongError` code 14 for text that is none. */
export async function parseConfig(
  document: string | Document,
  context: Context,
  schemas: readonly EntitySchema[] = entities,
): Promise<ParsedConfig> {
  try {
    const read = typeof document === 'string' ? readDocument(document) : document;
    return await parseDeclarative(read, context, schemas);
  } catch (error) {
    if (error instanceof InvalidConfig) throw new InvalidDeclarativeConfig(error);
    if (error instanceof UnreadableDocument) throw declarativeInvalid({ error: error.message });
    throw error;
  }
}

/**
 * Writes a parsed config into a workspace: one transaction, one serial, all or nothing. Rows that are there as they
 * should be are not touched, so a second import changes nothing. Gives the number of rows written or deleted.
 */
export async function importConfig(
  workspace: Workspace,
  config: ParsedConfig,
  options: ImportOptions,
): Promise<number> {
  const total = [...config.entities.values()].reduce((sum, rows) => sum + rows.size, 0);
  return workspace.transaction(async (inside) => {
    let written = 0;
    let changes = 0;
    const unchanged = new Set<DeclaredRow>();
    // Children go before the parents they restrict.
    for (const schema of [...declarable()].reverse()) {
      const declared = config.entities.get(schema.name) ?? new Map();
      changes += await compareStored(inside, schema, declared, options, unchanged);
    }
    for (const schema of declarable()) {
      const rows = [...(config.entities.get(schema.name)?.values() ?? [])];
      const changed = rows.filter((row) => !unchanged.has(row));
      written += rows.length - changed.length;
      changes += changed.length;
      for (let start = 0; start < changed.length; start += STEP) {
        const step = changed.slice(start, start + STEP);
        const inputs = step.map(({ input, ttl }) => (ttl === null ? { ...input } : { ...input, ttl }));
        await inside.entity(schema.name).upsertMany(inputs, { verbatim: !config.meta._transform });
        written += step.length;
        options.progress?.(written, total);
      }
    }
    return changes;
  });
}

/** The entities a document may hold, parents first. */
function declarable(): EntitySchema[] {
  return entities.filter(({ name, db_export }) => db_export !== false && name !== 'workspaces');
}

/**
 * Notes which declared rows are stored already as they should be and, to `replace`, deletes those not declared. Gives
 * the number of rows deleted.
 */
async function compareStored(
  inside: Workspace,
  schema: EntitySchema,
  declared: ReadonlyMap<string, DeclaredRow>,
  { mode, context }: ImportOptions,
  unchanged: Set<DeclaredRow>,
): Promise<number> {
  const store = inside.entity(schema.name);
  const surplus: string[] = [];
  for await (const stored of allRows(inside, schema.name)) {
    const wanted = declared.get(String(stored.id));
    if (wanted && sameRow(schema, stored, wanted, context)) unchanged.add(wanted);
    if (!wanted && mode === 'replace') surplus.push(String(stored.id));
  }
  return surplus.length === 0 ? 0 : store.deleteMany(surplus);
}

/** Every row of an entity in a workspace, by id. */
export async function* allRows(workspace: Workspace, entity: string): AsyncIterable<Row> {
  let offset: string | undefined;
  do {
    const page = await workspace.entity(entity).page({ size: PAGE, ...(offset === undefined ? {} : { offset }) });
    yield* page.rows;
    offset = page.offset;
  } while (offset !== undefined);
}
