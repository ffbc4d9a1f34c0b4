import type { Row } from '../../../shared/record.ts';
import type { Context } from '../../../shared/schema/complete.ts';
import type { Catalog } from '../catalog.ts';
import type { Session } from '../database.ts';
import type { Workspace } from '../store.ts';

/** The transaction a behaviour takes part in. */
interface Inside {
  readonly session: Session;
  readonly workspace: Workspace;
}

/** What a behaviour is told of a write. */
export interface Write extends Inside {
  readonly operation: 'insert' | 'update' | 'upsert';
  readonly catalog: Catalog;
  /** One of many rows that are loaded together, each for itself. */
  readonly bulk: boolean;
  /** What the caller gave, which tells a field left out from one set to its default. */
  readonly input: Row;
  /** The row about to be changed; null when there is none yet. Absent on `upsert`, which does not read first. */
  readonly current: Row | null;
}

/**
 * What an entity does beyond its schema because it must look at other rows: Kong's custom DAOs. Each hook throws
 * `KongError` to refuse. With `afterWrite` everything runs in one transaction.
 */
export interface Behaviour {
  /** What rows are completed with where that is in the database as well. `rows`: what the caller gave, or what is there. */
  context?(context: Context, rows: readonly Row[], session: Session): Promise<Context>;
  /** Whether a write must be one transaction, so that what it was completed with is still there when it is committed. */
  binds?(input: Row): boolean;
  /** Given the complete, valid row; returns the row to store. */
  beforeWrite?(row: Row, write: Write): Promise<Row>;
  /** Given the row as stored; returns the row as shown. */
  afterWrite?(stored: Row, write: Write): Promise<Row>;
  /** Given rows as stored; returns them as shown. */
  afterRead?(stored: readonly Row[], session: Session): Promise<Row[]>;
  /** Not called for rows that a cascade takes along. */
  beforeDelete?(id: string, inside: Inside): Promise<void>;
}
