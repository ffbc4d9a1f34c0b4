import type { Manifest, ObjectName } from '../../shared/bundle/format.ts';
import { tablesIn } from '../../shared/bundle/split.ts';
import type { Shelf } from './shelf.ts';

/** What a manifest leads to that the holder of another lacks; all of it, for nobody. Looks only into tables that are others. */
export function* missingObjects(shelf: Shelf, current: Manifest, held: Manifest | null): Iterable<ObjectName> {
  const known = Map.groupBy(held === null ? [] : tablesIn(held), ([name]) => name);
  const owned = new Set<ObjectName>();
  for (const [name, { index }] of tablesIn(current)) {
    const versions = (known.get(name) ?? []).map(([, table]) => table.index);
    if (versions.includes(index) || owned.has(index)) continue;
    owned.add(index);
    yield index;
    for (const ref of versions.flatMap((version) => shelf.references(version) ?? [])) {
      if (ref !== null) owned.add(ref.name);
    }
    for (const ref of shelf.references(index) ?? []) {
      if (ref === null || owned.has(ref.name)) continue;
      owned.add(ref.name);
      yield ref.name;
    }
  }
}
