import type { Row } from '../../shared/record.ts';
import type { Workspace } from '../store/store.ts';

const PAGE = 1_000;

/** Every row of an entity in a workspace, by id. */
export async function* allRows(workspace: Workspace, entity: string): AsyncIterable<Row> {
  let offset: string | undefined;
  do {
    const page = await workspace.entity(entity).page({ size: PAGE, ...(offset === undefined ? {} : { offset }) });
    yield* page.rows;
    offset = page.offset;
  } while (offset !== undefined);
}
