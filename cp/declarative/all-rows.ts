import type { Row } from '../../shared/record.ts';

const PAGE = 1_000;

/** Where rows are read, page by page: a workspace of a store, or a config in memory. */
export interface RowSource {
  entity(entity: string): {
    page(bounds: { readonly size: number; readonly offset?: string }): Promise<{
      readonly rows: readonly Row[];
      readonly offset?: string;
    }>;
    /** As `EntityStore` finds rows by those that are given; absent: all have to be looked at. */
    related?(rows: readonly Row[]): Promise<readonly Row[]>;
  };
}

/** Every row of an entity as exports have it: `ttl` is the time at which it vanishes, which is the same whenever it is read. */
export async function* exportedRows(source: RowSource, entity: string): AsyncIterable<Row> {
  for await (const rows of allPages(source, entity)) {
    const now = Date.now() / 1000;
    for (const row of rows) yield typeof row.ttl === 'number' ? { ...row, ttl: Math.floor(now + row.ttl + 1) } : row;
  }
}

/** Every row of an entity, by id. */
export async function* allRows(source: RowSource, entity: string): AsyncIterable<Row> {
  for await (const rows of allPages(source, entity)) yield* rows;
}

async function* allPages(source: RowSource, entity: string): AsyncIterable<readonly Row[]> {
  let offset: string | undefined;
  do {
    const page = await source.entity(entity).page({ size: PAGE, ...(offset === undefined ? {} : { offset }) });
    yield page.rows;
    offset = page.offset;
  } while (offset !== undefined);
}
