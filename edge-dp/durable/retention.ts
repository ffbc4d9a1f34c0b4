import type { ObjectName } from '../../shared/bundle/format.ts';

/** Milliseconds an object stays after the last config that names it, for isolates that are still behind. */
const GRACE = 60_000;

/** Says which stored objects are garbage: named neither by the current config nor the one before, for long enough. */
export class Retention {
  readonly #unnamedSince = new Map<ObjectName, number>();

  garbage(
    stored: Iterable<ObjectName>,
    current: ReadonlySet<ObjectName>,
    previous: ReadonlySet<ObjectName>,
    now: number,
  ): readonly ObjectName[] {
    const garbage: ObjectName[] = [];
    for (const name of stored) {
      if (current.has(name) || previous.has(name)) {
        this.#unnamedSince.delete(name);
        continue;
      }
      const since = this.#unnamedSince.get(name);
      if (since === undefined) this.#unnamedSince.set(name, now);
      else if (now - since >= GRACE) garbage.push(name);
    }
    for (const name of garbage) this.#unnamedSince.delete(name);
    return garbage;
  }
}
