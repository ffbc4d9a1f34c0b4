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

/**
 * Every row of an entity as exports have it: `ttl` is the time at which it vanishes, which is the same whenever it is read. `since`: when
 * the view began that they are read in, in seconds since the epoch.
 */
export async function* exportedRows(source: RowSource, entity: string, since?: number): AsyncIterable<Row> {
  for await (const { rows, askedAt } of allPages(source, entity)) {
    for (const row of rows)
      yield typeof row.ttl === 'number' ? { ...row, ttl: Math.floor((since ?? askedAt) + row.ttl + 1) } : row;
  }
}

/** Every row of an entity, by id. */
export async function* allRows(source: RowSource, entity: string): AsyncIterable<Row> {
  for await (const { rows } of allPages(source, entity)) yield* rows;
}

interface AskedPage {
  readonly rows: readonly Row[];
  /** Seconds since the epoch, from which what is left of a row's life counts, however long the page was on its way. */
  readonly askedAt: number;
}

async function* allPages(source: RowSource, entity: string): AsyncIterable<AskedPage> {
  let offset: string | undefined;
  do {
    const askedAt = Date.now() / 1000;
    const page = await source.entity(entity).page({ size: PAGE, ...(offset === undefined ? {} : { offset }) });
    yield { rows: page.rows, askedAt };
    offset = page.offset;
  } while (offset !== undefined);
}
