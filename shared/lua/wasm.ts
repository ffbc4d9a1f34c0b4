import type { Counter } from './budget.ts';

/** The two WebAssembly modules of the Lua machine, and what they offer. */
export interface LuaModules {
  /** Lua 5.1 (`wasmoon-lua5.1/dist/liblua5.1.wasm`) that counts its work, as `metered` makes it. */
  readonly lua: WebAssembly.Module;
  /**
   * `trampolines.wasm` beside this file: hands two imported functions on, so that they can stand in Lua's function table, and has
   * the allocator that counts what Lua allocates.
   */
  readonly trampolines: WebAssembly.Module;
}

/** A `lua_State *`: the main one, or a coroutine's. */
export type LuaState = number;

/** The part of Lua's C interface (manual §3) that is used here. Pointers and indices are numbers. */
export interface LuaExports {
  readonly memory: WebAssembly.Memory;
  /** Turns of loops that are left; none left is a trap. */
  readonly work: Counter;
  readonly __indirect_function_table: WebAssembly.Table;
  __wasm_call_ctors(): void;
  emscripten_stack_init(): void;
  /** Bytes left of the C stack. */
  emscripten_stack_get_free(): number;
  malloc(size: number): number;
  free(pointer: number): void;
  realloc(pointer: number, size: number): number;
  stackSave(): number;
  stackRestore(pointer: number): void;
  setThrew(threw: number, value: number): void;
  luaL_newstate(): LuaState;
  luaL_openlibs(state: LuaState): void;
  luaL_loadbuffer(state: LuaState, text: number, size: number, name: number): number;
  luaL_ref(state: LuaState, table: number): number;
  luaL_unref(state: LuaState, table: number, reference: number): void;
  luaL_where(state: LuaState, level: number): void;
  lua_newthread(state: LuaState): LuaState;
  lua_xmove(from: LuaState, to: LuaState, count: number): void;
  lua_resume(state: LuaState, parameters: number): number;
  lua_yield(state: LuaState, results: number): number;
  lua_pcall(state: LuaState, parameters: number, results: number, handler: number): number;
  lua_call(state: LuaState, parameters: number, results: number): void;
  lua_error(state: LuaState): number;
  lua_sethook(state: LuaState, hook: number, mask: number, count: number): number;
  lua_gethookcount(state: LuaState): number;
  lua_setallocf(state: LuaState, alloc: number, data: number): void;
  lua_gc(state: LuaState, what: number, data: number): number;
  lua_checkstack(state: LuaState, size: number): number;
  lua_gettop(state: LuaState): number;
  lua_settop(state: LuaState, top: number): void;
  lua_pushvalue(state: LuaState, at: number): void;
  lua_insert(state: LuaState, at: number): void;
  lua_remove(state: LuaState, at: number): void;
  lua_replace(state: LuaState, at: number): void;
  lua_type(state: LuaState, at: number): number;
  lua_isnumber(state: LuaState, at: number): number;
  lua_tonumber(state: LuaState, at: number): number;
  lua_toboolean(state: LuaState, at: number): number;
  lua_tolstring(state: LuaState, at: number, length: number): number;
  /** 0 for what is no coroutine. */
  lua_tothread(state: LuaState, at: number): LuaState;
  lua_touserdata(state: LuaState, at: number): number;
  lua_topointer(state: LuaState, at: number): number;
  lua_objlen(state: LuaState, at: number): number;
  lua_pushnil(state: LuaState): void;
  lua_pushnumber(state: LuaState, value: number): void;
  lua_pushboolean(state: LuaState, value: number): void;
  lua_pushlstring(state: LuaState, text: number, size: number): void;
  lua_pushlightuserdata(state: LuaState, pointer: number): void;
  lua_pushcclosure(state: LuaState, fn: number, upvalues: number): void;
  lua_createtable(state: LuaState, items: number, fields: number): void;
  lua_rawget(state: LuaState, table: number): void;
  lua_rawset(state: LuaState, table: number): void;
  lua_rawgeti(state: LuaState, table: number, position: number): void;
  lua_rawseti(state: LuaState, table: number, position: number): void;
  lua_next(state: LuaState, table: number): number;
  lua_getmetatable(state: LuaState, at: number): number;
  lua_setmetatable(state: LuaState, at: number): number;
  lua_getfenv(state: LuaState, at: number): void;
  lua_setfenv(state: LuaState, at: number): number;
}

/** Pseudo-indices and constants of `lua.h` 5.1. */
export const REGISTRY = -10000;
export const GLOBALS = -10002;
export const upvalue = (n: number): number => GLOBALS - n;
export const YIELDED = 1;
export const OUT_OF_MEMORY = 4;
export const MASK_COUNT = 8;
export const GC_COLLECT = 2;
export const GC_COUNT = 3;

/** Names of the values of `lua_type`. */
export const TYPE_NAMES = [
  'nil',
  'boolean',
  'userdata',
  'number',
  'string',
  'table',
  'function',
  'userdata',
  'thread',
] as const;

export type LuaTypeName = (typeof TYPE_NAMES)[number];

/** The machine is beyond repair (out of memory where Lua cannot say so, a trap): make another. */
export class LuaMachineLost extends Error {
  override readonly name = 'LuaMachineLost';
}

/** What the machine asks of whoever runs it. */
export interface LuaHost {
  /** Lua calls a function of ours. Returns the number of results on its stack. */
  call(state: LuaState): number;
  /** So many instructions have gone by. */
  hook(state: LuaState): void;
  /** A piece of more than 64 KB was allocated, for what is going on. */
  large(): void;
  /** Whether memory may grow to `bytes`. */
  mayGrow(bytes: number): boolean;
}

/** A fresh Lua, where the host's two functions and the counting allocator stand in its function table, and what that counts by. */
export interface LuaInstance {
  readonly lua: LuaExports;
  readonly callAt: number;
  readonly hookAt: number;
  readonly allocAt: number;
  readonly allowance: Counter;
  readonly large: Counter;
}

/** wasi's and Emscripten's numbers for "there is no such function here". */
const WASI_NOSYS = 52;
const NOSYS = -52;

/** Instantiates both modules; synchronous, milliseconds, and compiles nothing. */
export function instantiate(modules: LuaModules, host: LuaHost): LuaInstance {
  let lua: LuaExports | undefined;
  const exports = (): LuaExports => {
    if (lua === undefined) throw new LuaMachineLost('called before it was there');
    return lua;
  };
  const none = () => NOSYS;
  const wasiNone = () => WASI_NOSYS;
  const env = {
    exit: () => {
      throw new LuaMachineLost('Lua gave up: an error outside a protected call');
    },
    // Emscripten's way of setjmp: what throws a number below is Lua's longjmp, all else goes on.
    invoke_vii(at: number, a: number, b: number) {
      const { stackSave, stackRestore, setThrew, __indirect_function_table: table, work } = exports();
      work.value -= A_PROTECTED_CALL;
      const stack = stackSave();
      try {
        table.get(at)(a, b);
      } catch (thrown) {
        if (thrown !== LONG_JUMP) throw thrown;
        work.value -= A_LONG_JUMP;
        stackRestore(stack);
        setThrew(1, 0);
      }
    },
    _emscripten_throw_longjmp: () => {
      throw LONG_JUMP;
    },
    emscripten_memcpy_js(to: number, from: number, size: number) {
      const { memory, work } = exports();
      work.value -= size / BYTES_A_TURN;
      new Uint8Array(memory.buffer).copyWithin(to, from, from + size);
    },
    emscripten_resize_heap(bytes: number) {
      const { memory } = exports();
      const wanted = Math.ceil(bytes / PAGE);
      const now = memory.buffer.byteLength / PAGE;
      // A quarter more than asked for, so that not every allocation grows it; what was asked for where that is too much.
      for (const pages of [Math.max(wanted, Math.ceil(now * 1.25)), wanted]) {
        if (!host.mayGrow(pages * PAGE)) continue;
        try {
          memory.grow(pages - now);
          return 1;
        } catch {}
      }
      return 0;
    },
    emscripten_date_now: () => Date.now(),
    _emscripten_get_now_is_monotonic: () => 0,
    strftime: () => 0,
    _tzset_js: none,
    _mktime_js: none,
    _localtime_js: none,
    _gmtime_js: none,
    _emscripten_system: none,
    __syscall_openat: none,
    __syscall_fcntl64: none,
    __syscall_ioctl: none,
    __syscall_dup3: none,
    __syscall_unlinkat: none,
    __syscall_rmdir: none,
    __syscall_renameat: none,
    __syscall_readlinkat: none,
  };
  const wasi = {
    fd_write: wasiNone,
    fd_read: wasiNone,
    fd_close: wasiNone,
    fd_seek: wasiNone,
    environ_get: () => 0,
    environ_sizes_get(count: number, size: number) {
      const words = new Uint32Array(exports().memory.buffer);
      words[count >> 2] = 0;
      words[size >> 2] = 0;
      return 0;
    },
  };
  const instance = new WebAssembly.Instance(modules.lua, { env, wasi_snapshot_preview1: wasi });
  lua = luaExports(instance.exports);
  lua.__wasm_call_ctors();
  lua.emscripten_stack_init();
  const trampolines = new WebAssembly.Instance(modules.trampolines, {
    env: {
      call: (state: LuaState) => host.call(state),
      hook: (state: LuaState) => host.hook(state),
      realloc: lua.realloc,
      free: lua.free,
      large: () => host.large(),
    },
  }).exports;
  const { call, hook, alloc, allowance, large } = trampolines;
  if (!isCounter(allowance) || !isCounter(large)) throw new LuaMachineLost('the trampolines are not those expected');
  const table = lua.__indirect_function_table;
  const callAt = table.grow(3);
  [call, hook, alloc].forEach((each, n) => {
    table.set(callAt + n, each);
  });
  return { lua, callAt, hookAt: callAt + 1, allocAt: callAt + 2, allowance, large };
}

/** An exported global, a number. */
function isCounter(value: unknown): value is Counter {
  return typeof value === 'object' && value !== null && 'value' in value && typeof value.value === 'number';
}

function luaExports(exports: object): LuaExports {
  if (!hasLua(exports)) throw new LuaMachineLost('the WebAssembly module is not the Lua that was expected');
  return exports;
}

function hasLua(exports: object): exports is LuaExports {
  const names = ['memory', '__indirect_function_table', 'lua_resume', 'lua_sethook', 'luaL_newstate'];
  return names.every((name) => name in exports) && 'work' in exports && isCounter(exports.work);
}

const PAGE = 65_536;
/** What is done in JavaScript in C's place, in turns of a loop in C. */
const BYTES_A_TURN = 32;
const A_PROTECTED_CALL = 20;
const A_LONG_JUMP = 400;

/** What a longjmp of Lua is while it passes through JavaScript. */
export const LONG_JUMP = Number.POSITIVE_INFINITY;
