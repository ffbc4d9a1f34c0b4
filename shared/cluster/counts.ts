import { array, arrayOf, integer, ShapeError, stringLike } from '../bundle/shape.ts';

/**
 * Counters that all data planes share. Each counts for itself, and says every second how far it is: the whole count, not what
 * came to it, so that what is said twice counts once. It is answered with what the others have counted.
 */

/**
 * What a data plane has counted in one window: base64url of half a SHA-256 of the window (what is counted stays with the data
 * plane), how much, and until when it counts, in seconds since the epoch.
 */
export type Count = readonly [window: string, used: number, until: number];

/** Windows in one message. */
export const MOST_COUNTS = 500;

const WINDOW = /^[\w-]{22}$/;
/** Seconds since the epoch that 32 bits hold. */
export const LATEST = 4_294_967_295;

/** Throws `ShapeError`. */
export function parseCounts(value: unknown, where: string): readonly Count[] {
  const items = array(value, where);
  if (items.length > MOST_COUNTS) throw new ShapeError(`${where}: more than ${MOST_COUNTS} entries`);
  return arrayOf(items, where, (item, at): Count => {
    const [window, used, until] = array(item, at);
    return [
      stringLike(window, `${at}[0]`, WINDOW, '22 characters of base64url'),
      integer(used, `${at}[1]`),
      integer(until, `${at}[2]`, 0, LATEST),
    ];
  });
}

/** What others counted in each window. Throws `ShapeError`. */
export function parseOthersCounts(value: unknown, where: string): readonly number[] {
  return arrayOf(value, where, (item, at) => integer(item, at));
}
