import type { TableChanges } from '../config/changes.ts';
import { PersistentMap } from '../config/persistent-map.ts';
import { RowReader } from '../config/row.ts';

/** Which certificate each server name has (`snis`). Immutable, as the config it is of. */
export class ServerNames {
  static readonly none = new ServerNames(PersistentMap.empty(), PersistentMap.empty());

  /** Names by the ids of their rows, and ids of certificates by names, in lower case. */
  readonly #names: PersistentMap<string>;
  readonly #certificates: PersistentMap<string>;

  private constructor(names: PersistentMap<string>, certificates: PersistentMap<string>) {
    this.#names = names;
    this.#certificates = certificates;
  }

  update(changes: TableChanges | undefined): ServerNames {
    if (changes === undefined) return this;
    let names = this.#names;
    let certificates = this.#certificates;
    for (const id of [...changes.deletes, ...changes.upserts.map((row) => row.id)]) {
      const name = names.get(id);
      if (name === undefined) continue;
      names = names.delete(id);
      certificates = certificates.delete(name);
    }
    for (const row of changes.upserts) {
      const read = new RowReader('snis', row);
      const name = read.string('name').toLowerCase();
      names = names.set(row.id, name);
      certificates = certificates.set(name, read.reference('certificate') ?? '');
    }
    return new ServerNames(names, certificates);
  }

  /** The id of the certificate: of the very name, else of `*.` or `.*` in place of its first or last label, else of `*`. */
  certificateOf(serverName: string): string | null {
    const name = serverName.toLowerCase();
    const first = name.indexOf('.');
    const last = name.lastIndexOf('.');
    const candidates = first < 0 ? [name] : [name, `*${name.slice(first)}`, `${name.slice(0, last)}.*`];
    for (const candidate of [...candidates, '*']) {
      const id = this.#certificates.get(candidate);
      if (id !== undefined) return id;
    }
    return null;
  }
}
