import { messageOf } from '../thrown.ts';
import { Budget, type Meters, STEP, UNCOUNTED } from './budget.ts';
import { type CallAccess, StackCall } from './call.ts';
import { Collector } from './collector.ts';
import { PRELUDE } from './prelude.ts';
import { toLua51 } from './source.ts';
import { LuaStack } from './stack.ts';
import { stringNatives } from './string-library.ts';
import { RunningThreads, type Thread, Threads } from './threads.ts';
import { osLibrary } from './time-library.ts';
import {
  LuaEnd,
  LuaFault,
  LuaNative,
  LuaRaised,
  type LuaReference,
  type LuaResult,
  LuaSyntaxError,
  type LuaValue,
} from './value.ts';
import {
  GLOBALS,
  instantiate,
  LONG_JUMP,
  type LuaExports,
  LuaMachineLost,
  type LuaModules,
  type LuaState,
  MASK_COUNT,
  OUT_OF_MEMORY,
  REGISTRY,
  upvalue,
  YIELDED,
} from './wasm.ts';

export interface LuaLimits {
  /** Instructions of one run, waits not counted. */
  readonly instructions: number;
  /** Bytes of memory of the whole machine. */
  readonly memory: number;
}

export const DEFAULT_LIMITS: LuaLimits = { instructions: 1_000_000, memory: 32 * 1024 * 1024 };

/**
 * A Lua 5.1 with a budget: every run ends after so many instructions, in so much memory, and what one run waits for does not
 * keep another from running. Native functions are given what the run was started with (`host`), so that runs of several
 * requests never see each other's. Synchronous until a native function waits.
 */
export class LuaMachine {
  readonly limits: LuaLimits;
  readonly #lua: LuaExports;
  readonly #main: LuaState;
  readonly #threads: Threads;
  readonly #running: RunningThreads;
  readonly #collector: Collector;
  readonly #stack: LuaStack;
  readonly #access: CallAccess;
  readonly #hookAt: number;
  readonly #meters: Meters;
  /** The run whose instructions are being counted, null between runs. */
  #run: Run | null = null;
  #awaiting: Promise<LuaResult> | null = null;
  #lost: LuaMachineLost | null = null;

  constructor(modules: LuaModules, limits: LuaLimits = DEFAULT_LIMITS) {
    this.limits = limits;
    const { lua, callAt, hookAt, allocAt, allowance, large } = instantiate(modules, {
      call: (state) => this.#call(state),
      hook: (state) => this.#hook(state),
      large: () => this.#large(),
      // Outside a run nobody could be told "not enough memory": a little more is there for what the machine itself does.
      mayGrow: (bytes) => bytes <= limits.memory + (this.#run === null ? RESERVE : 0),
    });
    this.#lua = lua;
    this.#hookAt = hookAt;
    this.#meters = { work: lua.work, allowance, large };
    this.#main = lua.luaL_newstate();
    if (this.#main === 0) throw new LuaMachineLost('no memory for a Lua state');
    lua.lua_setallocf(this.#main, allocAt, 0);
    this.#collector = new Collector(lua, this.#main, this.#meters, limits.memory);
    this.#threads = new Threads(lua, this.#main);
    this.#stack = new LuaStack(this, lua, callAt);
    this.#access = { lua, stack: this.#stack, charge: (state, instructions) => this.#charge(state, instructions) };
    lua.luaL_openlibs(this.#main);
    lua.lua_sethook(this.#main, hookAt, MASK_COUNT, STEP);
    this.#running = new RunningThreads(lua, this.#main, this.table().reference);
    this.#prepare();
  }

  /** Bytes in use of Lua's values, and of the WebAssembly memory (which never shrinks). */
  get memory(): { readonly used: number; readonly total: number } {
    return {
      used: this.#collector.used,
      total: this.#lua.memory.buffer.byteLength,
    };
  }

  /** Why the machine can run nothing any more, null while it can. */
  get lost(): LuaMachineLost | null {
    return this.#lost;
  }

  /** Compiles a chunk. `name` as for Lua's `load`: the source itself, `=words` or `@file`. Throws `LuaSyntaxError`. */
  load(source: string, name: string = source): LuaReference {
    this.#uncounted();
    this.#collector.collectInTime();
    const failure = this.#compile(this.#main, source, name);
    if (failure !== null) throw new LuaSyntaxError(failure);
    return this.#stack.keep(this.#main);
  }

  /** An empty table, kept until it is released. */
  table(): LuaReference {
    this.#alive();
    this.#lua.lua_createtable(this.#main, 0, 0);
    return this.#stack.keep(this.#main);
  }

  /** A value that is kept until it is released, so that it is made but once. */
  keep(value: LuaValue): LuaReference {
    this.#alive();
    this.#stack.push(this.#main, value);
    return this.#stack.keep(this.#main);
  }

  /** What is kept, copied out but for functions. Throws for a table that is too deep or too large, or holds itself. */
  read(kept: LuaReference): LuaValue {
    this.#alive();
    const lua = this.#lua;
    lua.lua_rawgeti(this.#main, REGISTRY, kept.reference);
    this.#stack.moved();
    try {
      return this.#stack.read(this.#main, -1);
    } finally {
      lua.lua_settop(this.#main, 0);
    }
  }

  /** Lets go of a function or a table. */
  release(fn: LuaReference): void {
    this.#uncounted();
    this.#lua.luaL_unref(this.#main, REGISTRY, fn.reference);
  }

  /** Sets a global. Native functions in it, at any depth, become Lua functions. */
  define(name: string, value: LuaValue): void {
    this.#uncounted();
    this.#stack.pushText(this.#main, name);
    this.#stack.push(this.#main, value);
    this.#lua.lua_rawset(this.#main, GLOBALS);
  }

  /**
   * Runs a function: its results, or a promise of them once a native function waits. Throws (or rejects with) `LuaFault`,
   * the `LuaEnd` of a native function that ended the run, or `LuaMachineLost`.
   */
  run(
    fn: LuaReference,
    parameters: readonly LuaValue[],
    host: unknown,
    instructions = this.limits.instructions,
  ): readonly LuaValue[] | Promise<readonly LuaValue[]> {
    const lua = this.#lua;
    this.#collector.collectInTime();
    this.#alive();
    const thread = this.#threads.take();
    const run: Run = { host, state: thread.state, budget: new Budget(instructions, this.#meters), end: null };
    lua.lua_rawgeti(thread.state, REGISTRY, fn.reference);
    for (const value of parameters) this.#stack.push(thread.state, value);
    this.#stack.moved();
    return this.#resume(thread, run, parameters.length);
  }

  #resume(thread: Thread, run: Run, parameters: number): readonly LuaValue[] | Promise<readonly LuaValue[]> {
    const lua = this.#lua;
    const { state } = thread;
    let begun = 0;
    const status = this.#within(run, () => {
      begun = this.#running.begin(state);
      this.#lookAsOften(state, run.budget);
      return lua.lua_resume(state, parameters);
    });
    this.#running.end(begun);
    if (status === 0) {
      const values = this.#take(thread);
      if (run.budget.step < STEP) lua.lua_sethook(state, this.#hookAt, MASK_COUNT, STEP);
      this.#threads.give(thread);
      return values;
    }
    if (status === YIELDED) {
      const awaiting = this.#awaiting;
      this.#awaiting = null;
      if (awaiting === null || lua.lua_touserdata(state, -1) !== AWAIT) {
        this.#threads.drop(thread);
        throw new LuaFault('error', 'attempt to yield from outside a coroutine');
      }
      lua.lua_settop(state, 0);
      return this.#continued(thread, run, awaiting);
    }
    return this.#fail(thread, run, status);
  }

  async #continued(thread: Thread, run: Run, awaiting: Promise<LuaResult>): Promise<readonly LuaValue[]> {
    let [ok, result]: [boolean, LuaResult] = [true, undefined];
    try {
      result = await awaiting;
    } catch (error) {
      this.#alive();
      if (error instanceof LuaEnd) {
        this.#threads.drop(thread);
        throw error;
      }
      [ok, result] = [false, error instanceof LuaRaised ? error.value : messageOf(error)];
    }
    this.#alive();
    this.#collector.collectInTime();
    const count = this.#handOver(thread, ok, result);
    run.budget.owe(this.#stack.moved());
    return this.#resume(thread, run, count);
  }

  /** Puts what came on the stack of who waits, outside of a call: where there is no room Lua gives the thread up, and that alone. */
  #handOver(thread: Thread, ok: boolean, result: LuaResult): number {
    const lua = this.#lua;
    const depth = lua.stackSave();
    try {
      try {
        return 1 + this.#pushAfter(thread.state, ok, result);
      } catch (error) {
        if (error instanceof LuaMachineLost) throw error;
        return 1 + this.#pushAfter(thread.state, false, messageOf(error));
      }
    } catch (error) {
      if (!(error instanceof LuaMachineLost)) throw error;
      lua.stackRestore(depth);
      this.#threads.drop(thread);
      this.#collector.collect();
      throw new LuaFault('memory', 'not enough memory');
    }
  }

  #pushAfter(state: LuaState, ok: boolean, result: LuaResult): number {
    this.#lua.lua_pushboolean(state, ok ? 1 : 0);
    return this.#stack.pushResult(state, result);
  }

  #fail(thread: Thread, run: Run, status: number): never {
    const value = this.#raised(thread.state);
    this.#threads.drop(thread);
    if (run.end !== null) throw run.end;
    if (status === OUT_OF_MEMORY) {
      this.#collector.collect();
      throw new LuaFault('memory', 'not enough memory');
    }
    throw new LuaFault(run.budget.over ? 'budget' : 'error', this.#describe(value), value);
  }

  /** What a thread ended with. Of what cannot be read it is known that it is a table. */
  #raised(state: LuaState): LuaValue {
    this.#stack.moved();
    try {
      return this.#stack.read(state, -1);
    } catch (error) {
      if (!(error instanceof LuaMachineLost)) return {};
      this.#lost = error;
      throw error;
    }
  }

  #describe(value: LuaValue): string {
    if (value instanceof Uint8Array) return lossy.decode(value);
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
    return value === undefined || value === null ? 'nil' : 'an error that is no text';
  }

  /** Calls into Lua on behalf of a run: whatever is thrown that is no Lua error is the end of the machine. */
  #within<T>(run: Run, work: () => T): T {
    this.#alive();
    const before = this.#run;
    before?.budget.pause();
    this.#run = run;
    run.budget.begin();
    try {
      return work();
    } catch (thrown) {
      this.#lost = this.#loss(thrown);
      throw this.#lost;
    } finally {
      run.budget.pause();
      this.#run = before;
      before?.budget.begin();
    }
  }

  #loss(thrown: unknown): LuaMachineLost {
    if (thrown instanceof LuaMachineLost) return thrown;
    // Where a loop stops in the middle of what is written in C, nothing can go on.
    const why = this.#meters.work.value < 0 ? `${BUDGET} between two looks at it` : messageOf(thrown);
    return new LuaMachineLost(`Lua broke down: ${why}`, { cause: thrown });
  }

  #alive(): void {
    if (this.#lost !== null) throw this.#lost;
    this.#uncounted();
  }

  /** What is done outside a run is nobody's to pay, however much comes together of it. */
  #uncounted(): void {
    if (this.#run === null) this.#meters.work.value = UNCOUNTED;
  }

  /** All values on a thread's stack, which is empty then. Throws `LuaFault` for those that cannot be read. */
  #take(thread: Thread): readonly LuaValue[] {
    const { state } = thread;
    const count = this.#lua.lua_gettop(state);
    if (count === 0) return NOTHING;
    this.#stack.moved();
    try {
      const values = this.#stack.readKeeping(state, count);
      this.#lua.lua_settop(state, 0);
      return values;
    } catch (error) {
      if (error instanceof LuaMachineLost) {
        this.#lost = error;
        throw error;
      }
      this.#threads.drop(thread);
      throw new LuaFault('error', messageOf(error));
    }
  }

  #prepare(): void {
    const setUp = this.load(PRELUDE, `=${PRELUDE_PLACE.slice(0, -1)}`);
    const natives: Record<string, LuaValue> = { os: osLibrary, room: ROOM, outermost: OUTERMOST };
    const add = (name: string, run: LuaNative['run']) => {
      natives[name] = new LuaNative(name, run);
    };
    add('ended', () => this.#run !== null && (this.#run.budget.over || this.#run.end !== null));
    add('charge', (call) => {
      call.charge(call.number(1));
      return undefined;
    });
    add('room_for', (call) => {
      const bytes = call.number(1);
      if (bytes > this.limits.memory / 4) throw new Error('resulting string too large');
      call.charge(bytes > LONGEST_REPEATED ? bytes : bytes / 16);
      return undefined;
    });
    for (const native of stringNatives) natives[native.name] = native;

    const main = this.#main;
    const lua = this.#lua;
    lua.lua_rawgeti(main, REGISTRY, setUp.reference);
    this.#stack.push(main, natives);
    this.#stack.pushText(main, 'await');
    lua.lua_pushlightuserdata(main, AWAIT);
    lua.lua_rawset(main, -3);
    this.#stack.pushText(main, 'compile');
    this.#stack.pushNative(main, COMPILE);
    lua.lua_rawset(main, -3);
    lua.lua_pushvalue(main, -1);
    lua.lua_insert(main, 1);
    const run: Run = { host: null, state: main, budget: new Budget(1e9, this.#meters), end: null };
    const status = this.#within(run, () => lua.lua_pcall(main, 1, 0, 0));
    if (status !== 0) throw new LuaMachineLost(`the prelude failed: ${this.#describe(this.#stack.read(main, -1))}`);
    this.#stack.pushText(main, 'waiting');
    lua.lua_rawget(main, 1);
    this.#stack.waiting = this.#stack.keep(main);
    lua.lua_settop(main, 0);
    this.release(setUp);
  }

  /** Leaves the chunk on the stack, or nothing and says why not. */
  #compile(state: LuaState, source: string, name: string): string | null {
    let translated: string;
    try {
      translated = toLua51(source, name);
    } catch (error) {
      return messageOf(error);
    }
    const lua = this.#lua;
    const text = this.#stack.allocate(translated);
    const title = this.#stack.allocate(`${name}\0`);
    try {
      if (text === null || title === null) return 'not enough memory';
      if (lua.luaL_loadbuffer(state, text.at, text.size, title.at) === 0) return null;
    } finally {
      if (text !== null) lua.free(text.at);
      if (title !== null) lua.free(title.at);
    }
    const said = this.#stack.read(state, -1);
    lua.lua_settop(state, -2);
    return this.#describe(said);
  }

  #hook(state: LuaState): void {
    const run = this.#run;
    if (run === null) return;
    const { budget } = run;
    const within = budget.spend(this.#lua.lua_gethookcount(state));
    this.#lookAsOften(state, budget);
    if (!within) this.#overBudget(state, run);
  }

  /** What a single instruction does may be long from now on, and the next look far away. */
  #large(): void {
    if (this.#run === null) return;
    const { budget } = this.#run;
    budget.holding();
    for (const state of this.#running) this.#lookAsOften(state, budget);
  }

  #charge(state: LuaState, instructions: number): void {
    const run = this.#run;
    if (run === null) return;
    const within = run.budget.charge(instructions);
    this.#lookAsOften(state, run.budget);
    if (!within) this.#overBudget(state, run);
  }

  #lookAsOften(state: LuaState, { step }: Budget): void {
    if (step < STEP && this.#lua.lua_gethookcount(state) > step) {
      this.#lua.lua_sethook(state, this.#hookAt, MASK_COUNT, step);
    }
  }

  #overBudget(state: LuaState, run: Run): void {
    if (run.budget.ignored) throw new LuaMachineLost('a script went on after its budget was used up');
    this.#raise(state, BUDGET, 0);
  }

  /** Raises an error in Lua that begins with its place: the innermost from `level` on that is not the prelude's. */
  #raise(state: LuaState, message: string, level: number): number {
    let place: LuaValue = PRELUDE_PLACE;
    for (let at = level; at < level + 4 && typeof place === 'string' && place.startsWith(PRELUDE_PLACE); at++) {
      this.#lua.luaL_where(state, at);
      place = this.#stack.read(state, -1);
      this.#lua.lua_settop(state, -2);
    }
    this.#stack.pushText(state, `${typeof place === 'string' ? place : ''}${message}`);
    return this.#lua.lua_error(state);
  }

  #call(state: LuaState): number {
    const lua = this.#lua;
    const native = this.#stack.native(lua.lua_tonumber(state, upvalue(1)));
    if (native === undefined) throw new LuaMachineLost('a function that is none of ours was called');
    let refusal: string;
    try {
      if (native === COMPILE) return this.#compileFor(state);
      if (native === ROOM) return this.#roomFor(state);
      if (native === OUTERMOST) {
        this.#charge(state, A_CALL);
        lua.lua_pushboolean(state, this.#run?.state === state ? 1 : 0);
        return 1;
      }
      const call = new StackCall(this.#access, state, native.name, this.#run?.host);
      const kept = native.waits ? call.kept() : null;
      const result = native.run(kept ?? call);
      if (!(result instanceof Promise)) {
        // One that may wait and need not answers as after a wait: its caller looks for that.
        const count = kept === null ? this.#stack.pushResult(state, result) : 1 + this.#pushAfter(state, true, result);
        this.#charge(state, A_CALL + (kept?.charged ?? 0) + this.#stack.moved());
        return count;
      }
      result.catch(() => {});
      this.#charge(state, A_WAIT + (kept?.charged ?? 0) + this.#stack.moved());
      this.#awaiting = result;
      lua.lua_settop(state, 0);
      lua.lua_pushlightuserdata(state, AWAIT);
      return lua.lua_yield(state, 1);
    } catch (thrown) {
      if (thrown === LONG_JUMP || thrown instanceof LuaMachineLost) throw thrown;
      if (thrown instanceof LuaEnd && this.#run !== null) this.#run.end = thrown;
      else this.#charge(state, A_FAILURE + this.#stack.moved());
      if (thrown instanceof LuaRaised) {
        this.#stack.push(state, thrown.value);
        return lua.lua_error(state);
      }
      refusal = messageOf(thrown);
      if (native.waits && !(thrown instanceof LuaEnd)) return 1 + this.#pushAfter(state, false, refusal);
    }
    return this.#raise(state, refusal, 1);
  }

  /** `room(coroutine)` of the prelude, before that is resumed: on the stack, and in the budget, which looks at it as often as at who asks. */
  #roomFor(state: LuaState): number {
    if (this.#lua.emscripten_stack_get_free() < STACK_RESERVE) throw new Error('C stack overflow');
    this.#charge(state, A_CALL + A_COROUTINE);
    const resumed = this.#lua.lua_tothread(state, 1);
    if (resumed === 0 || this.#run === null) return 0;
    this.#lookAsOften(resumed, this.#run.budget);
    this.#running.resume(state, resumed);
    return 0;
  }

  /** `compile(text, name)` of the prelude: a function, or nil and why not. Compiled Lua is no text and is refused. */
  #compileFor(state: LuaState): number {
    const [text, name] = [this.#stack.read(state, 1), this.#stack.read(state, 2)];
    const source = typeof text === 'string' ? text : '';
    this.#charge(state, A_CHUNK + source.length * INSTRUCTIONS_A_CHARACTER);
    const refusal =
      typeof text !== 'string'
        ? 'bad argument #1 (a text in UTF-8 expected)'
        : this.#compile(state, source, typeof name === 'string' ? name : source);
    if (refusal === null) return 1;
    this.#lua.lua_pushnil(state);
    this.#stack.pushText(state, refusal);
    return 2;
  }
}

/** One run from its first instruction to its last, waits included. */
interface Run {
  readonly host: unknown;
  /** The thread it begins in. */
  readonly state: LuaState;
  readonly budget: Budget;
  /** What a native function ended it with. */
  end: LuaEnd | null;
}

/** Their work is done by the machine itself, which has the stack. */
const COMPILE = new LuaNative('compile', () => undefined);
const ROOM = new LuaNative('room', () => undefined);
const OUTERMOST = new LuaNative('outermost', () => undefined);

/** The light userdata that a coroutine yields while it waits. No real pointer is that small. */
const AWAIT = 8;
/** What a call of a native function costs, beside what is passed and what it says of its work. */
const A_CALL = 25;
/** The same of one that waits, and of one that fails. */
const A_WAIT = 250;
const A_FAILURE = 150;
/** What a coroutine costs to be made and resumed, beside its instructions. */
const A_COROUTINE = 50;
/** What compiling costs, beside what Lua itself does of it. */
const A_CHUNK = 400;
const INSTRUCTIONS_A_CHARACTER = 2;
/** Its loops take a run of the usual budget to its end: better before than after. */
const LONGEST_REPEATED = 1_300_000;
const BUDGET = 'instruction budget used up';
const PRELUDE_PLACE = 'prelude:';
const RESERVE = 1024 * 1024;
const STACK_RESERVE = 16 * 1024;
const NOTHING: readonly LuaValue[] = [];

const lossy = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
