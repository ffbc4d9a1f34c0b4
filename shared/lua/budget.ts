/** A number that WebAssembly counts down. */
export interface Counter {
  value: number;
}

/** What the machine counts by itself. */
export interface Meters {
  /** Turns of loops that are left, in all that is written in C (metering.ts); none left is the end of the machine. */
  readonly work: Counter;
  /** Bytes that Lua may still allocate before it is told "not enough memory". */
  readonly allowance: Counter;
  /** Bytes that Lua has in pieces of more than 64 KB: long strings and large tables, whoever made them and when. */
  readonly large: Counter;
}

/** What a counter is where nobody counts. */
export const UNCOUNTED = 0x7fffffff;

/**
 * What one run may use: instructions, and what is done besides in their place: turns of loops written in C, bytes that are allocated,
 * calls of native functions and what is passed to and fro. Counted by what is done, not by a clock, which stands still while a Worker on
 * Cloudflare computes and elsewhere goes on while the process waits for its turn. So a script that ends does so on every host, however
 * busy that is; and so does one without an end.
 */
export class Budget {
  readonly #meters: Meters;
  #left: number;
  /** Instructions charged since the last look at the meters. */
  #pending = 0;
  /** What the allowance was set to. */
  #granted = UNCOUNTED;
  #refusals = 0;
  #after = 0;
  #step = STEP;

  constructor(instructions: number, meters: Meters) {
    this.#left = instructions;
    this.#meters = meters;
  }

  /** Whether the run was told that it is used up. */
  get over(): boolean {
    return this.#refusals > 0;
  }

  /** Whether the run goes on although it was told again and again. */
  get ignored(): boolean {
    return this.#refusals > MOST_REFUSALS || this.#after > MOST_AFTER;
  }

  /** Instructions between two looks: few, or one, where a single instruction may be long by now. */
  get step(): number {
    return this.#step;
  }

  /** To be called when the run begins, and again whenever it goes on after a wait. */
  begin(): void {
    this.#meters.work.value = MOST_WORK;
    this.holding();
    this.#grant();
  }

  /** To be called when there is more in large pieces than before. */
  holding(): void {
    const { value } = this.#meters.large;
    if (value > 0) this.#lookWithin(Math.max(1, Math.floor(MOST_BYTES / value)));
  }

  /** To be called when the run ends, or begins to wait. */
  pause(): void {
    this.#look(0);
    this.#meters.work.value = UNCOUNTED;
    this.#meters.allowance.value = UNCOUNTED;
  }

  /** Takes what a native function does. False when that is more than is left. */
  charge(instructions: number): boolean {
    // What is made of so much is long itself, and may be met by the very next instruction.
    if (instructions > LOT) this.#lookWithin(instructions > HUGE ? 1 : FINE_STEP);
    this.#pending += instructions;
    if (this.#pending < LOT && this.#pending <= this.#left) return true;
    return this.spend(0);
  }

  /** Takes what was done while the run waited, when it goes on. */
  owe(instructions: number): void {
    this.#pending += instructions;
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
    const { work, allowance } = this.#meters;
    const turns = MOST_WORK - work.value;
    work.value = MOST_WORK;
    const bytes = this.#granted - allowance.value;
    const most = Math.max(bytes, turns);
    if (most > LARGE) this.#lookWithin(most > LARGEST ? 1 : FINE_STEP);
    // Each instruction is a turn itself.
    const inC = Math.max(turns - instructions, 0) / TURNS_AN_INSTRUCTION;
    this.#left -= A_LOOK + instructions + inC + this.#pending + bytes / BYTES_AN_INSTRUCTION;
    this.#pending = 0;
  }

  #lookWithin(instructions: number): void {
    this.#step = Math.min(this.#step, instructions);
  }

  /** What comes after the end still needs a little memory: the error, and who catches it. */
  #grant(): void {
    const bytes = Math.max(this.#left, 0) * BYTES_AN_INSTRUCTION + AFTER_THE_END;
    this.#granted = Math.min(bytes, UNCOUNTED);
    this.#meters.allowance.value = this.#granted;
  }
}

/** Instructions between two looks at the meters. */
export const STEP = 100;
/** The same in a run that has long strings or large tables. */
const FINE_STEP = 5;
/** What a look takes itself, most of it the way out of WebAssembly. */
const A_LOOK = 4;
const TURNS_AN_INSTRUCTION = 4;
/** More turns than are done between two looks, unless it is by a script that was made for it; tens of milliseconds. */
const MOST_WORK = 13_000_000;
const BYTES_AN_INSTRUCTION = 20;
const AFTER_THE_END = 64 * 1024;
/** Who allocates or does this much at once has strings or tables for which one instruction may take a millisecond. */
const LARGE = 64 * 1024;
/** Who does this much at once, for which one may take ten of them. */
const LARGEST = 2 * 1024 * 1024;
/** Instructions of a run that was told to end. */
const MOST_AFTER = 10_000;
const MOST_REFUSALS = 10_000;
const MOST_AT_ONCE = 100;
/** Charges are looked at in lots of this size. */
const LOT = 5000;
/** Instructions between two looks, times the bytes that one of them may be about: some turns are done for each. */
const MOST_BYTES = MOST_WORK / 4;
/** What is charged for a string of two megabytes. */
const HUGE = 100_000;
