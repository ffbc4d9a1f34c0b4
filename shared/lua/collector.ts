import type { Meters } from './budget.ts';
import { GC_COLLECT, GC_COUNT, type LuaExports, type LuaState } from './wasm.ts';

const LARGE_GARBAGE = 256 * 1024;

/**
 * Collects in time: Lua 5.1 begins to when twice what was left last time is in use, which may be more than there is, and fails without
 * another try.
 */
export class Collector {
  readonly #lua: LuaExports;
  readonly #main: LuaState;
  readonly #large: Meters['large'];
  /** Bytes of the whole machine. */
  readonly #most: number;
  /** Bytes in use after the last collection made in time, and those of them in large pieces. */
  #collected = 0;
  #collectedLarge = 0;

  constructor(lua: LuaExports, main: LuaState, { large }: Meters, most: number) {
    this.#lua = lua;
    this.#main = main;
    this.#large = large;
    this.#most = most;
  }

  /** Bytes in use of Lua's values. */
  get used(): number {
    return this.#lua.lua_gc(this.#main, GC_COUNT, 0) * 1024;
  }

  /** Where much is in use. Where long texts may be garbage it is collected before runs are looked at more often because of them. */
  collectInTime(): void {
    const large = this.#large;
    const much = this.used >= Math.max(this.#most / 2, this.#collected + this.#most / 8);
    if (!much && large.value < this.#collectedLarge + LARGE_GARBAGE) return;
    let before: number;
    do {
      before = large.value;
      this.collect();
      // Lua's table of all strings is halved with each collection, down to what it needs.
    } while (large.value > 0 && large.value < before);
    this.#collected = this.used;
    this.#collectedLarge = large.value;
  }

  collect(): void {
    this.#lua.lua_gc(this.#main, GC_COLLECT, 0);
  }
}
