/** Milliseconds until those that wait are looked at. */
export const LOOK = 1_000;

type WaitUntil = (work: Promise<unknown>) => void;

/**
 * What begins to wait for something longer than a look is away, each in a place of its own; the same in all requests of an isolate. Places
 * are used again: tables that grow and shrink, or a list, would be old when they are given up, and keep all that requests
 * hold until the next full collection.
 */
const waiting: (Waiting | null)[] = [];
const free: number[] = [];
/** When they are looked at; milliseconds since the epoch, null: nobody will. */
let lookAt: number | null = null;

/** One that waits. */
class Waiting {
  readonly #begin: () => void;
  #place: number | null;

  /** `begin` has it go on, in the request it is of. */
  constructor(begin: () => void) {
    this.#begin = begin;
    this.#place = free.pop() ?? waiting.length;
    waiting[this.#place] = this;
  }

  /** It is over, or looked at. */
  cancel(): void {
    if (this.#place === null) return;
    waiting[this.#place] = null;
    free.push(this.#place);
    this.#place = null;
  }

  begin(): void {
    this.cancel();
    this.#begin();
  }
}

/**
 * Calls `begin` once it has waited for a second at the most, unless it is taken back before, as what is over by then is: a timer of the
 * runtime costs a request a tenth of its processor time, and one request a second has one for all. `begin` is called in the context of
 * the request that asked, in which the runtime has whatever belongs to it. `waitUntil` keeps the request that looks.
 */
export function beginSoon(begin: () => void, waitUntil: WaitUntil): { cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  // What follows a promise runs in the request that made it, whichever resolves it.
  void promise.then(begin);
  const now = Date.now();
  // A look that is overdue was given up with its request.
  if (lookAt === null || now > lookAt + LOOK) {
    lookAt = now + LOOK;
    waitUntil(new Promise<void>((looked) => setTimeout(() => looked(look()), LOOK)));
  }
  return new Waiting(resolve);
}

function look(): void {
  lookAt = null;
  for (const each of waiting) each?.begin();
}
