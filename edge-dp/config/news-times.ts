/** On Cloudflare: so many intervals without a request, and the config may be old: the next request waits for the answer. */
export const IDLE_INTERVALS = 2;
/**
 * Milliseconds what the owner said holds good elsewhere on a box. Nobody tells an isolate anything between its questions, so one that
 * has had no request for longer than this asks before it serves; the owner counts a change as applied once none goes by what it said before.
 */
export const FRESH = 25;
/** Milliseconds an answer may take on its way, so that it holds good as long after it came; one that took longer does for less. */
export const LATE = 50;

/** When an isolate asks for news: milliseconds since the epoch. */
export class NewsTimes {
  /** Between the two nothing is asked: a question is under way, or was lately. */
  #askedAt = 0;
  #askAgainAt = 0;
  /** When it was said last that there is nothing newer than what is held. */
  #knownAt = 0;

  /** A clock that was set back must not put the next question off for as long. */
  isResting(now: number): boolean {
    return now >= this.#askedAt && now < this.#askAgainAt;
  }

  /** A question begins; until `again` there is no other, also where the request that asked is gone, and its work with it. */
  asks(now: number, again: number): void {
    this.#askedAt = now;
    this.#askAgainAt = again;
  }

  answered(again: number): void {
    this.#askAgainAt = again;
  }

  /** It was said at `now`, or before. */
  knows(now: number): void {
    this.#knownAt = now;
  }

  /** Whether nothing was heard for so many milliseconds that what is held may be old. */
  isAsleep(now: number, span: number): boolean {
    return now - this.#knownAt >= span;
  }
}
