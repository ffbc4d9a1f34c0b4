import type { DeclaredRow, ParsedConfig } from '../../shared/declarative/parse.ts';
import type { Row } from '../../shared/record.ts';
import { type Context, completeInsert, withoutAliases } from '../../shared/schema/complete.ts';
import { keepGenerated } from '../../shared/schema/generated.ts';
import { uuid5 } from '../../shared/uuid5.ts';
import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import { idOf } from '../store/row-json.ts';
import type { Workspace } from '../store/store.ts';
import type { Table } from '../store/table.ts';
import { allRows, type RowSource } from './all-rows.ts';
import { sameRow } from './same-row.ts';
import { Twins } from './twins.ts';

/** What is to be done with the rows of one entity. */
export interface EntityPlan {
  readonly table: Table;
  /** In the order of the document. */
  readonly rows: readonly PlannedRow[];
  /** Ids of rows that hold what another is to be unique by; all of them are written or deleted as well. */
  readonly vacate: readonly string[];
  /** Ids of stored rows the document does not declare. */
  readonly surplus: readonly string[];
  /** How many rows are added to which the document gives neither an id nor anything they are unique by. */
  readonly nameless: number;
}

/** A declared row under the id it is to have. */
export interface PlannedRow {
  readonly id: string;
  /** What is to be written; null when the row is stored just as declared. */
  readonly write: Pick<DeclaredRow, 'input' | 'ttl'> | null;
  /** The row as it is stored; null when there is none yet. */
  readonly stored: Readonly<Row> | null;
}

/** What a plan is made from. */
interface Planning {
  /** What is stored, and where. */
  readonly workspace: Pick<Workspace, 'id' | 'name'> & RowSource;
  readonly config: ParsedConfig;
  /** Parents before those that refer to them. */
  readonly tables: readonly Table[];
  /** Completes rows as those of the document were completed. */
  readonly context: Context;
  /** Rows the document does not declare are looked for as well. */
  readonly replace: boolean;
}

/** Rows looked at between two turns of the thread's other work. */
const BATCH = 200;

/** Compares a document with what is stored. Changes nothing. */
export async function planImport(planning: Planning): Promise<EntityPlan[]> {
  const ids = new Map<string, string>();
  const plans: EntityPlan[] = [];
  for (const table of planning.tables) {
    const declared = [...(planning.config.entities.get(table.name)?.values() ?? [])];
    const isMeant = planning.replace && table.schema.kept_unless_named !== true;
    if (declared.length > 0 || isMeant) plans.push(await planEntity(planning, table, declared, ids));
  }
  return plans;
}

/** `ids`: what the rows of parents are to be called, by the ids the document has them under, where the two differ. */
async function planEntity(
  planning: Planning,
  table: Table,
  parsed: readonly DeclaredRow[],
  ids: Map<string, string>,
): Promise<EntityPlan> {
  const { context, workspace } = planning;
  // What all workspaces share does not go because the document of one of them lacks it.
  const replace = planning.replace && (table.workspaced || workspace.name === DEFAULT_WORKSPACE.name);
  const declared: DeclaredRow[] = [];
  for (const row of parsed) declared.push(await withReferences(withIdOf(workspace, row, ids), table, ids, context));
  const hints = new Map<string, DeclaredRow>();
  if (table.name === 'certificates') {
    for (const [stored, place] of await byServerNames(planning, parsed)) {
      const row = declared[place];
      if (row !== undefined) hints.set(stored, row);
    }
  }
  const twins = new Twins(table, declared, context, hints);
  const surplus = new Set<string>();
  // What the document has nothing to do with matters only where it goes: else an import costs what it is itself, not what is there.
  const keyed = replace || twins.mayBeAny ? undefined : workspace.entity(table.name);
  const related = await keyed?.related?.(declared.map(({ row }) => row));
  if (related !== undefined) for (const stored of related) twins.meet(stored);
  else {
    for await (const stored of allRows(workspace, table.name)) {
      if (!twins.meet(stored) && replace) surplus.add(String(stored.id));
    }
  }
  await twins.decide();
  const nameless = twins.nameless();

  const rows: PlannedRow[] = [];
  const planned = new Map<DeclaredRow, PlannedRow>();
  for (const [place, row] of declared.entries()) {
    const plan = await planRow(row, twins, table, context);
    rows.push(plan);
    planned.set(row, plan);
    for (const known of [parsed[place]?.row.id, row.row.id].map(String)) if (known !== plan.id) ids.set(known, plan.id);
    if (rows.length % BATCH === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  if (replace) for (const id of twins.left()) surplus.add(id);
  const moving = new Set(rows.flatMap(({ id, write, stored }) => (write !== null && stored !== null ? [id] : [])));
  const vacate = new Set<string>();
  for (const { stored, by } of twins.held()) {
    const id = String(stored.id);
    if (planned.get(by)?.id !== id && (moving.has(id) || surplus.has(id))) vacate.add(id);
  }
  // What data planes make too (tokens, sessions) is no config that a document would have to hold.
  const kept = table.schema.records !== undefined && declared.length === 0;
  return { table, rows, vacate: [...vacate], surplus: kept ? [] : [...surplus], nameless };
}

async function planRow(row: DeclaredRow, twins: Twins, table: Table, context: Context): Promise<PlannedRow> {
  const id = twins.idFor(row);
  const stored = twins.twinOf(row) ?? null;
  const input = { ...row.input, id };
  if (stored === null) return { id, stored, write: { input, ttl: row.ttl } };
  if (await sameRow(table.schema, stored, row, context)) return { id, stored, write: null };
  const plain = withoutAliases(table.schema, stored, context);
  const kept = keepGenerated(table.schema, { input, stored: plain, target: input }, context);
  return { id, stored, write: { input: kept, ttl: row.ttl } };
}

/** Ids made from names are the same in every workspace, but belong to one row of all: only the default one keeps them. */
function withIdOf(workspace: Planning['workspace'], declared: DeclaredRow, ids: Map<string, string>): DeclaredRow {
  if (declared.identified || workspace.name === DEFAULT_WORKSPACE.name) return declared;
  const made = String(declared.row.id);
  const id = uuid5(workspace.id, made);
  ids.set(made, id);
  return { ...declared, row: { ...declared.row, id }, input: { ...declared.input, id } };
}

/** The row with references to where its parents really are; what is worked out from them is worked out anew. */
async function withReferences(
  declared: DeclaredRow,
  { schema, references }: Table,
  ids: ReadonlyMap<string, string>,
  context: Context,
): Promise<DeclaredRow> {
  const moved: Row = {};
  for (const { field } of references) {
    const id = ids.get(String(idOf(declared.input[field])));
    if (id !== undefined) moved[field] = { id };
  }
  if (Object.keys(moved).length === 0) return declared;
  const input = { ...declared.input, ...moved };
  return { ...declared, input, row: withoutAliases(schema, await completeInsert(schema, input, context), context) };
}

/**
 * A certificate has no name, but its server names have it: what they stand for now is what takes the place of it. Gives the
 * places of declared certificates, by the ids of the stored ones.
 */
async function byServerNames(
  { workspace, config }: Planning,
  certificates: readonly DeclaredRow[],
): Promise<ReadonlyMap<string, number>> {
  const places = new Map(certificates.map(({ row }, place) => [String(row.id), place]));
  const declared = new Map<unknown, number>();
  for (const { row } of config.entities.get('snis')?.values() ?? []) {
    const place = places.get(String(idOf(row.certificate)));
    if (place !== undefined && certificates[place]?.identified === false) declared.set(row.name, place);
  }
  const found = new Map<string, number>();
  if (declared.size === 0) return found;
  for await (const { name, certificate } of allRows(workspace, 'snis')) {
    const place = declared.get(name);
    if (place !== undefined) found.set(String(idOf(certificate)), place);
  }
  return found;
}
