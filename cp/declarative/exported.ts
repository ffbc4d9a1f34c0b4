import { promisify } from 'node:util';
import { deflate, inflateSync } from 'node:zlib';
import { exportedEntities, exportYaml } from '../../shared/declarative/export.ts';
import type { Row } from '../../shared/record.ts';
import type { Workspace } from '../store/store.ts';
import { exportedRows } from './all-rows.ts';

/** Rows that are kept as one piece. */
const PIECE = 1_000;
/** Fields have the same names in every row: the fastest way makes a tenth of them. */
const FAST = { level: 1 } as const;

/**
 * A workspace as a document, with all rows as they were at one moment, so that what one refers to is in it, whoever writes meanwhile. They
 * are kept here until they have been taken: the database does not keep its view open for somebody who takes his time.
 */
export async function* exportedDocument(workspace: Workspace): AsyncGenerator<string> {
  // The lives that are left to rows are those of the view, which begins later than this.
  const askedAt = Date.now() / 1000;
  const kept = await workspace.snapshot(async (inside) => {
    const pieces = new Map<string, Uint8Array[]>();
    for (const { name } of exportedEntities) pieces.set(name, await gathered(exportedRows(inside, name, askedAt)));
    return pieces;
  });
  yield* exportYaml((entity) => taken(kept.get(entity) ?? []));
}

async function gathered(rows: AsyncIterable<Row>): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  let open: Row[] = [];
  const close = async (): Promise<void> => {
    pieces.push(await promisify(deflate)(JSON.stringify(open), FAST));
    open = [];
  };
  for await (const row of rows) if (open.push(row) === PIECE) await close();
  if (open.length > 0) await close();
  return pieces;
}

async function* taken(pieces: Uint8Array[]): AsyncGenerator<Row> {
  for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
    const rows: Row[] = JSON.parse(inflateSync(piece).toString());
    yield* rows;
  }
}
