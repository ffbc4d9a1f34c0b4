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
  /** Who has it in use now; nobody: it is retired. */
  readonly users: Set<ShelfUser>;
}

/** Whose newest version an object is part of: a table, of which groups may have several that share objects, or a kept release. */
export type ShelfUser = object;

/**
 * The objects this control plane can serve: those of the current manifests, and for a while those of earlier ones.
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

  put(object: PackedObject, user: ShelfUser, references: readonly (ObjectRef | null)[] | null = null): void {
    if (this.#objects.has(object.name)) this.claim(object.name, user);
    else this.#objects.set(object.name, { object, references, users: new Set([user]) });
  }

  /** One more uses it, or one that does already. False when it is not here. */
  claim(name: ObjectName, user: ShelfUser): boolean {
    const known = this.#objects.get(name);
    if (known === undefined) return false;
    if (known.users.size === 0) {
      this.#retired.delete(name);
      this.#retiredBytes -= known.object.gzip.length;
    }
    known.users.add(user);
    return true;
  }

  /** Its newest version no longer names it. */
  retire(name: ObjectName, user: ShelfUser, now: number): void {
    const known = this.#objects.get(name);
    if (known === undefined || !known.users.delete(user) || known.users.size > 0) return;
    this.#retired.set(name, now);
    this.#retiredBytes += known.object.gzip.length;
  }

  /** Only these use anything from now on. */
  keepOnly(users: ReadonlySet<ShelfUser>, now: number): void {
    for (const [name, known] of this.#objects) {
      for (const user of known.users) if (!users.has(user)) this.retire(name, user, now);
    }
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
}
