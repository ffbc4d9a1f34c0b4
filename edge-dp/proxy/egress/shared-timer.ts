/** Milliseconds until those that wait are looked at. */
export const LOOK = 1_000;

type WaitUntil = (work: Promise<unknown>) => void;

/** What begins to wait for something longer than a look is away; the same in all requests of an isolate. */
const waiting = new Set<() => void>();
/** When they are looked at; milliseconds since the epoch, null: nobody will. */
let lookAt: number | null = null;

/**
 * Calls `begin` once it has waited for a second at the most, unless it is taken back before, as what is over by then is: a timer of the
 * runtime costs a request a tenth of its processor time, and one request a second has one for all. `begin` is called in the context of
 * the request that asked, in which the runtime has whatever belongs to it. `waitUntil` keeps the request that looks.
 */
export function beginSoon(begin: () => void, waitUntil: WaitUntil): { cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  // What follows a promise runs in the request that made it, whichever resolves it.
  void promise.then(begin);
  waiting.add(resolve);
  const now = Date.now();
  // A look that is overdue was given up with its request.
  if (lookAt === null || now > lookAt + LOOK) {
    lookAt = now + LOOK;
    waitUntil(new Promise<void>((looked) => setTimeout(() => looked(look()), LOOK)));
  }
  return { cancel: () => void waiting.delete(resolve) };
}

function look(): void {
  lookAt = null;
  for (const resolve of waiting) resolve();
  waiting.clear();
}
