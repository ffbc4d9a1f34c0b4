/** Bytes that Lua may still allocate before it is told "not enough memory"; counted down by what it allocates. */
export interface Allowance {
  value: number;
}

/** What an allowance is where nobody counts. */
export const UNCOUNTED = 0x7fffffff;

/**
 * What one run may use: instructions, and what long strings, large tables and native functions make of single ones. Counted by what is
 * done, not by a clock, which stands still while a Worker on Cloudflare computes; where it runs, what takes longer counts by it.
 */
export class Budget {
  readonly #allowed: number;
  readonly #allowance: Allowance;
  #left: number;
  /** Instructions charged since the last look at clock and memory. */
  #pending = 0;
  /** What the allowance was set to. */
  #granted = UNCOUNTED;
  #clock = 0;
  #refusals = 0;
  #after = 0;
  #large = false;
  /** The most, in instructions, that counts of the next look by the clock, once one was dear. */
  #most = 0;

  constructor(instructions: number, allowance: Allowance) {
    this.#allowed = instructions;
    this.#left = instructions;
    this.#allowance = allowance;
  }

  /** Whether the run was told that it is used up. */
  get over(): boolean {
    return this.#refusals > 0;
  }

  /** Whether the run goes on for longer than it takes to catch that and clean up, which it may. */
  get ignored(): boolean {
    return this.#after > MOST_AFTER || this.#refusals > MOST_REFUSALS;
  }

  /** Whether single instructions may be dear, and should be counted nearly one by one. */
  get large(): boolean {
    return this.#large;
  }

  /** To be called when the run begins, and again whenever it goes on after a wait. */
  begin(): void {
    this.#clock = performance.now();
    this.#grant();
  }

  /** To be called when the run ends, or begins to wait. */
  pause(): void {
    this.#look(0);
    this.#allowance.value = UNCOUNTED;
  }

  /** Takes what a native function does, beforehand. False when that is more than is left. */
  charge(instructions: number): boolean {
    // What is made of so much is long itself, and may be met by the very next instruction.
    if (instructions > LOT) this.#large = true;
    this.#pending += instructions;
    if (this.#pending < LOT && this.#pending <= this.#left) return true;
    return this.spend(0);
  }

  /** Takes instructions that were run. False when the budget is used up. */
  spend(instructions: number): boolean {
    this.#look(instructions);
    this.#grant();
    if (this.#left >= 0) return true;
    this.#refusals++;
    this.#after += Math.min(instructions, MOST_AT_ONCE);
    return false;
  }

  #look(instructions: number): void {
    const now = performance.now();
    const bytes = this.#granted - this.#allowance.value;
    if (bytes > LARGE) this.#large = true;
    const byTime = this.#excused((now - this.#clock) * INSTRUCTIONS_A_MS);
    this.#clock = now;
    this.#left -= Math.max(instructions + this.#pending, byTime, bytes / BYTES_AN_INSTRUCTION);
    this.#pending = 0;
  }

  /**
   * What counts of the time since the last look. Who was not run for a while, or meets functions that are compiled only now, is not to
   * blame: what is dear is so again and again, and so each time more of it counts, until nothing was dear for a while.
   */
  #excused(time: number): number {
    const least = this.#allowed / (this.#large ? 20 : 40);
    const most = Math.max(this.#most, least);
    if (time <= most) {
      this.#most = most * FORGIVING;
      return time;
    }
    if (this.#most > least) this.#large = true;
    this.#most = most * (this.#large ? 8 : 4);
    return most;
  }

  /** What comes after the end still needs a little memory: the error, and who catches it. */
  #grant(): void {
    const bytes = Math.max(this.#left, 0) * BYTES_AN_INSTRUCTION + AFTER_THE_END;
    this.#granted = Math.min(bytes, UNCOUNTED);
    this.#allowance.value = this.#granted;
  }
}

const INSTRUCTIONS_A_MS = 33_000;
const BYTES_AN_INSTRUCTION = 20;
const AFTER_THE_END = 64 * 1024;
/** Who allocates this much at once has strings or tables for which one instruction may take a millisecond. */
const LARGE = 64 * 1024;
/** By which what counts of a dear look becomes less at each one that is not: half after a thousand. */
const FORGIVING = 0.9993;
/** Instructions of a run that was told to end. */
const MOST_AFTER = 10_000;
const MOST_REFUSALS = 10_000;
const MOST_AT_ONCE = 100;
/** Charges are looked at in lots of this size. */
const LOT = 5000;
