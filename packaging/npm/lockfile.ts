import lockfile from '../../package-lock.json' with { type: 'json' };
import { isRecord, type Row, recordOrEmpty } from '../../shared/record.ts';

const LOCKED: ReadonlyMap<string, Readonly<Row>> = new Map(
  Object.entries(lockfile.packages).flatMap(([path, entry]) => (isRecord(entry) ? [[path, entry] as const] : [])),
);

/**
 * The lockfile of the package with this `package.json`: what a clone has of the packages it depends on, in the versions that are tested, for
 * `npm ci` where the package is installed by itself. Throws where a package is needed that the clone has not.
 */
export function packageLock(manifest: Readonly<Row>): Readonly<Row> {
  const { type: _type, description: _description, exports: _exports, publishConfig: _publish, ...root } = manifest;
  const needed = reachable(root, ['dependencies', 'peerDependencies']);
  const all = reachable(root, ['dependencies', 'optionalDependencies', 'peerDependencies']);
  const packages = [...all].toSorted().map((path) => {
    const { dev: _dev, devOptional: _devOptional, optional: _optional, ...entry } = LOCKED.get(path) ?? {};
    return [path, needed.has(path) ? entry : { ...entry, optional: true }];
  });
  const { name, version } = manifest;
  return {
    name,
    version,
    lockfileVersion: lockfile.lockfileVersion,
    requires: true,
    packages: { '': root, ...Object.fromEntries(packages) },
  };
}

/** Where packages lie that are needed by way of these fields. */
function reachable(root: Readonly<Row>, fields: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const waiting: [string, Readonly<Row>][] = [['', root]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [path, entry] = next;
    for (const field of fields) {
      for (const name of Object.keys(recordOrEmpty(entry[field]))) {
        const place = placeOf(name, path);
        if (place === null && field === 'dependencies') throw new Error(`${name} is not in package-lock.json`);
        const there = place === null || isLeftOut(entry, field, name) ? undefined : LOCKED.get(place);
        if (place === null || there === undefined || found.has(place)) continue;
        found.add(place);
        waiting.push([place, there]);
      }
    }
  }
  return found;
}

/** A peer that the package can do without. */
function isLeftOut(entry: Readonly<Row>, field: string, name: string): boolean {
  return (
    field === 'peerDependencies' && recordOrEmpty(recordOrEmpty(entry.peerDependenciesMeta)[name]).optional === true
  );
}

/** As Node looks for it: beside the package, then farther out. */
function placeOf(name: string, path: string): string | null {
  for (let folder = path; ; ) {
    const place = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (LOCKED.has(place)) return place;
    if (folder === '') return null;
    const outer = folder.lastIndexOf('/node_modules/');
    folder = outer === -1 ? '' : folder.slice(0, outer);
  }
}
