import { randomUUID } from 'node:crypto';
import { randomSecret } from '../../shared/random-secret.ts';
import type { Context } from '../../shared/schema/complete.ts';
import type { EntitySchema } from '../../shared/schema/vocabulary.ts';
import type { StoreLog } from './outage.ts';
import { type Statements, statementsFor } from './statements.ts';
import { deriveTables, type Table, type Tables } from './table.ts';

/** Everything that follows from the schemas, worked out once per process. */
export interface Catalog {
  readonly tables: Tables;
  readonly context: Context;
  /** Throws for an entity that does not exist: the caller's programming error. */
  table(entity: string): Table;
  statements(table: Table): Statements;
  /** Tells of what is taken from writers, but is better not sent. */
  warn(message: string): void;
}

/** The schemas a store works with. */
export interface Schemas {
  readonly entities: readonly EntitySchema[];
  readonly subschema: Context['subschema'];
  /** False: rows cannot be of plugins in Lua. */
  readonly luaPlugins?: boolean;
}

/** The tables of these schemas with their statements, worked out once. */
export function catalogOf(schemas: Schemas, log: StoreLog = () => {}): Catalog {
  const tables = deriveTables(schemas.entities);
  const statements = new Map<Table, Statements>();
  return {
    tables,
    context: {
      now: () => Date.now() / 1000,
      uuid: randomUUID,
      secret: () => randomSecret(32),
      subschema: schemas.subschema,
      luaPlugins: schemas.luaPlugins ?? true,
      entity: (name) => tables.get(name)?.schema,
    },
    table(entity) {
      const table = tables.get(entity);
      if (table === undefined) throw new TypeError(`there is no entity '${entity}'`);
      return table;
    },
    statements(table) {
      const known = statements.get(table) ?? statementsFor(table);
      statements.set(table, known);
      return known;
    },
    warn: (message) => log('warn', message),
  };
}
