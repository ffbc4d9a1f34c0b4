import { type LuaExports, type LuaState, REGISTRY } from './wasm.ts';

/** A thread of Lua's own, in which runs begin. */
export interface Thread {
  readonly state: LuaState;
  /** Keeps it from being collected. */
  readonly reference: number;
}

/** The threads that runs begin in: those that ended well can run again. */
export class Threads {
  readonly #lua: LuaExports;
  readonly #main: LuaState;
  readonly #idle: Thread[] = [];

  constructor(lua: LuaExports, main: LuaState) {
    this.#lua = lua;
    this.#main = main;
  }

  take(): Thread {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const state = this.#lua.lua_newthread(this.#main);
    return { state, reference: this.#lua.luaL_ref(this.#main, REGISTRY) };
  }

  /** One that ended well, with nothing on its stack. */
  give(thread: Thread): void {
    if (this.#idle.length < MAX_IDLE) this.#idle.push(thread);
    else this.drop(thread);
  }

  drop(thread: Thread): void {
    this.#lua.luaL_unref(this.#main, REGISTRY, thread.reference);
  }
}

const MAX_IDLE = 64;

/**
 * The threads that are running, each resumed by the one before, behind which may still be one that has ended since. The coroutines among
 * them are anchored, so that none of them is collected.
 */
export class RunningThreads {
  readonly #lua: LuaExports;
  readonly #main: LuaState;
  readonly #threads: LuaState[] = [];
  /** Of the table that has the coroutines by their places. */
  readonly #anchors: number;
  /** Up to where it has any. */
  #anchored = 0;

  constructor(lua: LuaExports, main: LuaState, anchors: number) {
    this.#lua = lua;
    this.#main = main;
    this.#anchors = anchors;
  }

  [Symbol.iterator](): Iterator<LuaState> {
    return this.#threads.values();
  }

  /** A run begins, or goes on, in `state`. Gives what `end` takes. */
  begin(state: LuaState): number {
    return this.#threads.push(state) - 1;
  }

  /** Lets go of all that began since, and of the coroutines that ran behind, with all that they still hold. */
  end(begun: number): void {
    this.#threads.length = begun;
    if (this.#anchored <= begun) return;
    const lua = this.#lua;
    lua.lua_rawgeti(this.#main, REGISTRY, this.#anchors);
    for (; this.#anchored > begun; this.#anchored--) {
      lua.lua_pushnil(this.#main);
      lua.lua_rawseti(this.#main, -2, this.#anchored);
    }
    lua.lua_settop(this.#main, -2);
  }

  /** `by` is to resume the coroutine that is the first value on its stack. */
  resume(by: LuaState, coroutine: LuaState): void {
    const lua = this.#lua;
    const threads = this.#threads;
    threads.length = threads.lastIndexOf(by) + 1;
    threads.push(coroutine);
    lua.lua_rawgeti(by, REGISTRY, this.#anchors);
    lua.lua_pushvalue(by, 1);
    lua.lua_rawseti(by, -2, threads.length);
    lua.lua_settop(by, -2);
    this.#anchored = Math.max(this.#anchored, threads.length);
  }
}
