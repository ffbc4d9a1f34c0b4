import type { LuaStack } from './stack.ts';
import type { LuaCall, LuaReference, LuaValue } from './value.ts';
import type { LuaExports, LuaState, LuaTypeName } from './wasm.ts';

/** What a call of a native function reads its arguments by. */
export interface CallAccess {
  readonly lua: LuaExports;
  readonly stack: LuaStack;
  charge(state: LuaState, instructions: number): void;
}

/** A call's arguments where they are: on Lua's stack. */
export class StackCall implements LuaCall {
  readonly host: unknown;
  readonly #access: CallAccess;
  readonly #state: LuaState;
  readonly #name: string;

  constructor(access: CallAccess, state: LuaState, name: string, host: unknown) {
    this.#access = access;
    this.#state = state;
    this.#name = name;
    this.host = host;
  }

  get count(): number {
    return this.#access.lua.lua_gettop(this.#state);
  }

  type(at: number): LuaTypeName | 'none' {
    return this.#access.stack.typeOf(this.#state, at);
  }

  text(at: number): string {
    return this.#access.stack.stringText(this.#state, at) ?? this.bad(at, 'string');
  }

  bytes(at: number): Uint8Array {
    return this.#access.stack.stringBytes(this.#state, at) ?? this.bad(at, 'string');
  }

  number(at: number): number {
    return this.#number(at) ?? this.bad(at, 'number');
  }

  truth(at: number): boolean {
    return this.#access.lua.lua_toboolean(this.#state, at) !== 0;
  }

  optionalText(at: number): string | undefined {
    return !this.has(at) ? undefined : this.text(at);
  }

  optionalNumber(at: number): number | undefined {
    return !this.has(at) ? undefined : this.number(at);
  }

  value(at: number): LuaValue {
    return this.#access.stack.read(this.#state, at);
  }

  function(at: number): LuaReference {
    if (this.type(at) !== 'function') this.bad(at, 'function');
    this.#access.lua.lua_pushvalue(this.#state, at);
    return this.#access.stack.keep(this.#state);
  }

  charge(instructions: number): void {
    this.#access.charge(this.#state, instructions);
  }

  #number(at: number): number | null {
    const { lua } = this.#access;
    return lua.lua_isnumber(this.#state, at) === 0 ? null : lua.lua_tonumber(this.#state, at);
  }

  has(at: number): boolean {
    const type = this.type(at);
    return type !== 'none' && type !== 'nil';
  }

  kept(): KeptCall {
    return new KeptCall(this);
  }

  bad(at: number, wanted: string, type = this.type(at)): never {
    throw new Error(
      `bad argument #${at} to '${this.#name}' (${wanted} expected, got ${type === 'none' ? 'no value' : type})`,
    );
  }
}

/** The arguments of a function that waits: Lua's stack is another's by the time they may be read. */
class KeptCall implements LuaCall {
  readonly host: unknown;
  readonly count: number;
  /** Instructions that the function said it takes. */
  charged = 0;
  readonly #call: StackCall;
  readonly #types: readonly (LuaTypeName | 'none')[];
  readonly #values: readonly LuaValue[];

  constructor(call: StackCall) {
    this.host = call.host;
    this.count = call.count;
    this.#call = call;
    const places = Array.from({ length: call.count }, (_, i) => i + 1);
    this.#types = places.map((at) => call.type(at));
    this.#values = places.map((at) => call.value(at));
  }

  type(at: number): LuaTypeName | 'none' {
    return this.#types[at - 1] ?? 'none';
  }

  text(at: number): string {
    const value = this.value(at);
    if (typeof value === 'number') return String(value);
    if (value instanceof Uint8Array) return lossy.decode(value);
    return typeof value === 'string' ? value : this.#call.bad(at, 'string', this.type(at));
  }

  bytes(at: number): Uint8Array {
    const value = this.value(at);
    return value instanceof Uint8Array ? value : encoder.encode(this.text(at));
  }

  number(at: number): number {
    const value = this.value(at);
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    return typeof number === 'number' && !Number.isNaN(number) ? number : this.#call.bad(at, 'number', this.type(at));
  }

  truth(at: number): boolean {
    const value = this.value(at);
    return value !== undefined && value !== false;
  }

  optionalText(at: number): string | undefined {
    return this.value(at) === undefined ? undefined : this.text(at);
  }

  optionalNumber(at: number): number | undefined {
    return this.value(at) === undefined ? undefined : this.number(at);
  }

  value(at: number): LuaValue {
    return this.#values[at - 1];
  }

  has(at: number): boolean {
    return this.value(at) !== undefined;
  }

  function(at: number): LuaReference {
    return this.#call.function(at);
  }

  /** Only of what is done before it waits; what comes after that is not this run's to pay. */
  charge(instructions: number): void {
    this.charged += instructions;
  }
}

const encoder = new TextEncoder();
const lossy = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
