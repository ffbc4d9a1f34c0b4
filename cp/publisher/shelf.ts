import type { ObjectName, ObjectRef, PackedObject } from '../../shared/bundle/format.ts';

/** How long what a newer manifest no longer names is still served. */
export interface Retention {
  /** Milliseconds: data planes that are still fetching an earlier manifest's objects finish. */
  readonly age: number;
  /** Bytes of such objects at most; the oldest go first. */
  readonly bytes: number;
}

interface Shelved {
  readonly object: PackedObject;
  /** The references of an index object, by which two versions of a table are compared. */
  readonly references: readonly (ObjectRef | null)[] | null;
  inUse: boolean;
}

/**
 * The objects this control plane can serve: those of the current manifest, and for a while those of earlier ones.
 * Every operation costs as much as the change, however large the config is.
 */
export class Shelf {
  readonly #objects = new Map<ObjectName, Shelved>();
  /** In order of retirement. */
  readonly #retired = new Map<ObjectName, number>();
  #retiredBytes = 0;
  readonly #retention: Retention;

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  get(name: ObjectName): PackedObject | undefined {
    return this.#objects.get(name)?.object;
  }

  /** What an index object refers to; undefined when it is not (or no longer) known. */
  references(index: ObjectName): readonly (ObjectRef | null)[] | undefined {
    return this.#objects.get(index)?.references ?? undefined;
  }

  put(object: PackedObject, references: readonly (ObjectRef | null)[] | null = null): void {
    const known = this.#objects.get(object.name);
    if (known === undefined) {
      this.#objects.set(object.name, { object, references, inUse: true });
    } else if (!known.inUse) {
      known.inUse = true;
      this.#retired.delete(object.name);
      this.#retiredBytes -= known.object.gzip.length;
    }
  }

  /** The current config no longer names it. */
  retire(name: ObjectName, now: number): void {
    const known = this.#objects.get(name);
    if (known === undefined || !known.inUse) return;
    known.inUse = false;
    this.#retired.set(name, now);
    this.#retiredBytes += known.object.gzip.length;
  }

  /** Lets go of what has been retired for too long, or is too much. */
  expire(now: number): void {
    for (const [name, since] of this.#retired) {
      if (now - since < this.#retention.age && this.#retiredBytes <= this.#retention.bytes) break;
      this.#retired.delete(name);
      this.#retiredBytes -= this.#objects.get(name)?.object.gzip.length ?? 0;
      this.#objects.delete(name);
    }
  }

  /** Everything held, current and retired. */
  names(): readonly ObjectName[] {
    return [...this.#objects.keys()];
  }
}
