import type { LuaMachine } from './machine.ts';
import { LuaNative, LuaReference, type LuaResult, LuaResults, type LuaValue, NULL } from './value.ts';
import { type LuaExports, LuaMachineLost, type LuaState, type LuaTypeName, REGISTRY, TYPE_NAMES } from './wasm.ts';

/** Values on the stacks of a Lua, written and read. */
export class LuaStack {
  readonly #machine: LuaMachine;
  readonly #lua: LuaExports;
  readonly #callAt: number;
  readonly #natives: LuaNative[] = [];
  readonly #nativeNumbers = new Map<LuaNative, number>();
  readonly #scratch: number;
  #bytes: Uint8Array;
  #moved = 0;
  /** What stands for functions where they are not kept: nil, should it be handed back. */
  readonly #unkept: LuaReference;
  /** Functions that were kept for what is being read. Null: they are not. */
  #kept: LuaReference[] | null = null;
  /** Makes a function that waits of a native one; the prelude's. */
  waiting: LuaReference | null = null;

  /** `callAt`: where the function table has the one that calls natives. */
  constructor(machine: LuaMachine, lua: LuaExports, callAt: number) {
    this.#machine = machine;
    this.#lua = lua;
    this.#callAt = callAt;
    this.#unkept = new LuaReference(machine, NO_REFERENCE);
    this.#scratch = lua.malloc(SCRATCH);
    this.#bytes = new Uint8Array(lua.memory.buffer);
  }

  /** What was written and read since it was asked the last time, in instructions. */
  moved(): number {
    const moved = this.#moved;
    this.#moved = 0;
    return moved;
  }

  native(number: number): LuaNative | undefined {
    return this.#natives[number];
  }

  /** Takes the value on top, so that it lives until it is released. */
  keep(state: LuaState): LuaReference {
    return new LuaReference(this.#machine, this.#lua.luaL_ref(state, REGISTRY));
  }

  /** A text in Lua's memory; free it. Null when there is no room. */
  allocate(text: string): { readonly at: number; readonly size: number } | null {
    const bytes = encoder.encode(text);
    const at = this.#lua.malloc(bytes.length);
    if (at === 0) return null;
    this.#memory().set(bytes, at);
    return { at, size: bytes.length };
  }

  typeOf(state: LuaState, at: number): LuaTypeName | 'none' {
    return TYPE_NAMES[this.#lua.lua_type(state, at)] ?? 'none';
  }

  pushResult(state: LuaState, result: LuaResult): number {
    if (!(result instanceof LuaResults)) {
      this.push(state, result);
      return 1;
    }
    if (this.#lua.lua_checkstack(state, result.values.length + 8) === 0) throw new Error('stack overflow');
    for (const value of result.values) this.push(state, value);
    return result.values.length;
  }

  push(state: LuaState, value: LuaValue, depth = 0): void {
    const lua = this.#lua;
    this.#moved += A_VALUE;
    if (value === undefined || value === null) lua.lua_pushnil(state);
    else if (typeof value === 'string') this.pushText(state, value);
    else if (typeof value === 'number') lua.lua_pushnumber(state, value);
    else if (typeof value === 'boolean') lua.lua_pushboolean(state, value ? 1 : 0);
    else if (value === NULL) lua.lua_pushlightuserdata(state, 0);
    else if (value instanceof Uint8Array) this.#pushBytes(state, value);
    else if (value instanceof LuaReference) lua.lua_rawgeti(state, REGISTRY, value.reference);
    else if (value instanceof LuaNative) this.pushNative(state, value);
    else this.#pushTable(state, value, depth + 1);
  }

  #pushTable(
    state: LuaState,
    value: Exclude<LuaValue, undefined | null | symbol | boolean | number | string>,
    depth: number,
  ): void {
    const lua = this.#lua;
    this.#moved += A_TABLE;
    if (depth > MAX_DEPTH) throw new Error(`a value is nested deeper than ${MAX_DEPTH} tables`);
    if (lua.lua_checkstack(state, 8) === 0) throw new Error('stack overflow');
    if (Array.isArray(value)) {
      lua.lua_createtable(state, value.length, 0);
      for (let i = 0; i < value.length; i++) {
        this.push(state, value[i], depth);
        lua.lua_rawseti(state, -2, i + 1);
      }
      return;
    }
    lua.lua_createtable(state, 0, 4);
    const entries: Iterable<[LuaValue, LuaValue]> = value instanceof Map ? value : Object.entries(value);
    for (const [key, item] of entries) {
      if (key === undefined || key === null || item === undefined || item === null) continue;
      this.push(state, key, depth);
      this.push(state, item, depth);
      lua.lua_rawset(state, -3);
    }
  }

  pushNative(state: LuaState, native: LuaNative): void {
    const lua = this.#lua;
    let number = this.#nativeNumbers.get(native);
    if (number === undefined) {
      number = this.#natives.push(native) - 1;
      this.#nativeNumbers.set(native, number);
    }
    const waiting = native.waits ? this.waiting : null;
    if (waiting !== null) lua.lua_rawgeti(state, REGISTRY, waiting.reference);
    lua.lua_pushnumber(state, number);
    lua.lua_pushcclosure(state, this.#callAt, 1);
    if (waiting !== null) lua.lua_call(state, 1, 1);
  }

  pushText(state: LuaState, text: string): void {
    const { length } = text;
    this.#moved += length / BYTES_AN_INSTRUCTION;
    if (length * 3 > SCRATCH) {
      this.#pushBytes(state, encoder.encode(text));
      return;
    }
    const memory = this.#memory();
    const at = this.#scratch;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f || i > 64) {
        const { written } = encoder.encodeInto(text, memory.subarray(at, at + SCRATCH));
        this.#lua.lua_pushlstring(state, at, written);
        return;
      }
      memory[at + i] = unit;
    }
    this.#lua.lua_pushlstring(state, at, length);
  }

  #pushBytes(state: LuaState, bytes: Uint8Array): void {
    const at = this.#lua.malloc(Math.max(bytes.length, 1));
    if (at === 0) throw new Error('not enough memory');
    this.#moved += bytes.length / BYTES_AN_INSTRUCTION;
    this.#memory().set(bytes, at);
    try {
      this.#lua.lua_pushlstring(state, at, bytes.length);
    } finally {
      this.#lua.free(at);
    }
  }

  /** The values of a stack from its bottom up, with functions that are kept until they are released. */
  readKeeping(state: LuaState, count: number): readonly LuaValue[] {
    const kept: LuaReference[] = [];
    this.#kept = kept;
    try {
      return Array.from({ length: count }, (_, at) => this.read(state, at + 1));
    } catch (error) {
      if (!(error instanceof LuaMachineLost)) {
        for (const { reference } of kept) this.#lua.luaL_unref(state, REGISTRY, reference);
      }
      throw error;
    } finally {
      this.#kept = null;
    }
  }

  /** Functions are told to be such, and no more: nobody would release them. */
  read(state: LuaState, at: number, depth = 0): LuaValue {
    const lua = this.#lua;
    // A few tables that hold each other are more values than there are atoms; and a long text may be there many times over.
    if (this.#moved > MOST_MOVED) throw new Error('more is passed than can be read at once');
    this.#moved += A_VALUE;
    switch (lua.lua_type(state, at)) {
      case 1:
        return lua.lua_toboolean(state, at) !== 0;
      case 2:
        return lua.lua_touserdata(state, at) === 0 ? NULL : undefined;
      case 3:
        return lua.lua_tonumber(state, at);
      case 4: {
        const bytes = this.#viewOf(state, at);
        return decode(bytes) ?? bytes.slice();
      }
      case 5:
        return this.#readTable(state, at, depth + 1);
      case 6: {
        if (this.#kept === null) return this.#unkept;
        if (this.#kept.length >= MOST_FUNCTIONS) throw new Error('too many functions');
        lua.lua_pushvalue(state, at);
        const fn = this.keep(state);
        this.#kept.push(fn);
        return fn;
      }
      default:
        return undefined;
    }
  }

  #readTable(state: LuaState, at: number, depth: number): LuaValue {
    const lua = this.#lua;
    this.#moved += A_TABLE;
    if (depth > MAX_DEPTH) throw new Error(`a table is nested deeper than ${MAX_DEPTH} tables, or holds itself`);
    if (lua.lua_checkstack(state, 8) === 0) throw new Error('stack overflow');
    const table = at < 0 ? lua.lua_gettop(state) + 1 + at : at;
    const length = lua.lua_objlen(state, table);
    const list: LuaValue[] = [];
    const map = new Map<LuaValue, LuaValue>();
    lua.lua_pushnil(state);
    while (lua.lua_next(state, table) !== 0) {
      // Reading a number as a text would change the key under lua_next: a copy is read.
      lua.lua_pushvalue(state, -2);
      const key = this.read(state, -1, depth);
      lua.lua_settop(state, -2);
      map.set(key, this.read(state, -1, depth));
      lua.lua_settop(state, -2);
    }
    if (map.size === 0 && this.#isMarkedList(state, table)) return list;
    if (length === 0 || map.size !== length) return map;
    for (let i = 1; i <= length; i++) {
      if (!map.has(i)) return map;
      list.push(map.get(i));
    }
    return list;
  }

  /** An empty table that its metatable calls a list (`__array`). */
  #isMarkedList(state: LuaState, table: number): boolean {
    const lua = this.#lua;
    if (lua.lua_getmetatable(state, table) === 0) return false;
    this.pushText(state, '__array');
    lua.lua_rawget(state, -2);
    const marked = lua.lua_toboolean(state, -1) !== 0;
    lua.lua_settop(state, -3);
    return marked;
  }

  /** The bytes of a string (or of a number as Lua prints it) in Lua's memory: good until Lua runs again. Null for what is neither. */
  stringBytes(state: LuaState, at: number): Uint8Array | null {
    const type = this.#lua.lua_type(state, at);
    return type === 4 || type === 3 ? this.#viewOf(state, at) : null;
  }

  stringText(state: LuaState, at: number): string | null {
    const bytes = this.stringBytes(state, at);
    return bytes === null ? null : (decode(bytes) ?? lossy.decode(bytes));
  }

  #viewOf(state: LuaState, at: number): Uint8Array {
    const sizeAt = this.#scratch;
    const from = this.#lua.lua_tolstring(state, at, sizeAt);
    const memory = this.#memory();
    const size =
      (memory[sizeAt] ?? 0) |
      ((memory[sizeAt + 1] ?? 0) << 8) |
      ((memory[sizeAt + 2] ?? 0) << 16) |
      ((memory[sizeAt + 3] ?? 0) << 24);
    this.#moved += size / BYTES_AN_INSTRUCTION;
    return memory.subarray(from, from + size);
  }

  /** The memory as bytes; growing it detaches the view before. */
  #memory(): Uint8Array {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.#lua.memory.buffer);
    return this.#bytes;
  }
}

const SCRATCH = 16 * 1024;
const MAX_DEPTH = 64;
/** `LUA_NOREF`. */
const NO_REFERENCE = -2;
/** Of what one run gives. */
const MOST_FUNCTIONS = 10_000;
/** What a value costs to be written or read, a table beside what is in it, and bytes of a string. */
const A_VALUE = 8;
const A_TABLE = 60;
const BYTES_AN_INSTRUCTION = 16;
/** What is read before any of it is paid for, beyond which a run of the usual budget is over anyway; some 100 ms. */
const MOST_MOVED = 4_000_000;

const encoder = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lossy = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** UTF-8 bytes as text, null where they are none. Short ASCII, the usual case, is quicker by hand. */
function decode(bytes: Uint8Array): string | null {
  if (bytes.length <= 24) {
    let text = '';
    for (const byte of bytes) {
      if (byte > 0x7f) {
        text = '';
        break;
      }
      text += String.fromCharCode(byte);
    }
    if (text.length === bytes.length) return text;
  }
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}
