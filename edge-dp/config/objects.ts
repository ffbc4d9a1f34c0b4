import type { Bytes, ObjectName } from '../../shared/bundle/format.ts';
import { verifyObject } from '../../shared/bundle/verification.ts';
import { messageOf } from '../../shared/thrown.ts';

/** A place objects come from. What it gives is believed only after its hash was checked. */
export interface ObjectOrigin {
  readonly name: string;
  /** The gzipped bytes, or null when it has no such object. May throw. */
  get(name: ObjectName): Promise<Bytes | null>;
}

export interface FoundObject {
  readonly gzip: Bytes;
  /** Inflated. */
  readonly bytes: Bytes;
  readonly origin: ObjectOrigin;
}

/** No origin has the object, whole and genuine. Passing: a later attempt may succeed. */
export class ObjectUnavailable extends Error {
  override readonly name = 'ObjectUnavailable';
}

/** Told of an origin whose copy was damaged: that is repaired by the next origin, and must still be seen by someone. */
type DamageReport = (origin: ObjectOrigin, reason: string) => void;

/**
 * The object, from the first origin whose copy is genuine. `limit` is the most bytes it may inflate to. Throws
 * `ObjectUnavailable` naming what each origin said.
 */
export async function findObject(
  name: ObjectName,
  limit: number,
  origins: readonly ObjectOrigin[],
  damaged: DamageReport,
): Promise<FoundObject> {
  const answers: string[] = [];
  for (const origin of origins) {
    let gzip: Bytes | null;
    try {
      gzip = await origin.get(name);
    } catch (error) {
      answers.push(`${origin.name}: ${messageOf(error)}`);
      continue;
    }
    if (gzip === null) {
      answers.push(`${origin.name}: not there`);
      continue;
    }
    try {
      return { gzip, bytes: await verifyObject(name, gzip, limit), origin };
    } catch (error) {
      const reason = messageOf(error);
      answers.push(`${origin.name}: ${reason}`);
      damaged(origin, reason);
    }
  }
  throw new ObjectUnavailable(`object ${name} cannot be had (${answers.join('; ')})`);
}
