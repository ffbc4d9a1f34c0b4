import type { LuaMachine } from './machine.ts';

/**
 * What passes between JavaScript and Lua. Into Lua: undefined and null become nil, texts UTF-8, bytes a string as it is, lists and
 * records new tables. Out of Lua: strings become texts where they are UTF-8 and bytes otherwise, tables lists (keys 1…n) or
 * Maps, what has no counterpart (coroutines, userdata) undefined.
 */
export type LuaValue =
  | undefined
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | typeof NULL
  | LuaReference
  | LuaNative
  | LuaList
  | LuaRecord
  | LuaMap;

export type LuaList = readonly LuaValue[];
export type LuaMap = ReadonlyMap<LuaValue, LuaValue>;
export interface LuaRecord {
  readonly [field: string]: LuaValue;
}

/** `ngx.null` and `cjson.null`: a light userdata that stands for a null within tables. */
export const NULL = Symbol('ngx.null');

/** A function or table that Lua holds; the machine keeps it until it is released. */
export class LuaReference {
  readonly machine: LuaMachine;
  readonly reference: number;

  constructor(machine: LuaMachine, reference: number) {
    this.machine = machine;
    this.reference = reference;
  }
}

/** Lets go of the functions among values that a run gave. */
export function releaseFunctions(values: Iterable<LuaValue>): void {
  for (const value of values) {
    if (value instanceof LuaReference) {
      if (value.machine.lost === null) value.machine.release(value);
    } else if (Array.isArray(value)) releaseFunctions(value);
    else if (value instanceof Map) for (const entry of value) releaseFunctions(entry);
  }
}

/** A function of ours that Lua may call. */
export class LuaNative {
  readonly name: string;
  readonly run: (call: LuaCall) => LuaResult | Promise<LuaResult>;
  /** It may answer with a promise: the coroutine waits, other requests go on. */
  readonly waits: boolean;

  constructor(name: string, run: LuaNative['run'], waits = false) {
    this.name = name;
    this.run = run;
    this.waits = waits;
  }
}

/** One value, or several as `results(…)`. */
export type LuaResult = LuaValue | LuaResults;

/** Several results of one call. */
export class LuaResults {
  readonly values: readonly LuaValue[];

  constructor(values: readonly LuaValue[]) {
    this.values = values;
  }
}

export const results = (...values: readonly LuaValue[]): LuaResults => new LuaResults(values);

/** A call of a native function: its arguments, counted from 1. */
export interface LuaCall {
  readonly count: number;
  /** What the run was started with: the request it belongs to. */
  readonly host: unknown;
  type(at: number): 'none' | 'nil' | 'boolean' | 'number' | 'string' | 'table' | 'function' | 'userdata' | 'thread';
  /** A string, or a number as Lua prints it. Throws Lua's words for a bad argument otherwise. */
  text(at: number): string;
  bytes(at: number): Uint8Array;
  number(at: number): number;
  /** Whatever but nil and false. */
  truth(at: number): boolean;
  /** Nil and none are undefined, the rest as the method without `optional`. */
  optionalText(at: number): string | undefined;
  optionalNumber(at: number): number | undefined;
  /** Functions in it are told to be such, and no more. */
  value(at: number): LuaValue;
  /** Keeps a function that was passed; release it. To be asked for before anything is waited for. */
  function(at: number): LuaReference;
  /** Whether the argument is there and is not nil. */
  has(at: number): boolean;
  /** Takes so many instructions from the run's budget. */
  charge(instructions: number): void;
}

/** What a native function throws to raise an error in Lua whose value is not a text with the place in front. */
export class LuaRaised extends Error {
  readonly value: LuaValue;

  constructor(value: LuaValue) {
    super('a Lua error');
    this.value = value;
  }
}

/** Thrown by a native function: the run ends here, past every `pcall` (`ngx.exit`). The run's outcome is this error. */
export class LuaEnd extends Error {
  override readonly name = 'LuaEnd';
}

/** A run of Lua that failed. The message is what Lua said. */
export class LuaFault extends Error {
  override readonly name = 'LuaFault';
  readonly kind: 'error' | 'budget' | 'memory';
  readonly value: LuaValue;

  constructor(kind: LuaFault['kind'], message: string, value: LuaValue = message) {
    super(message);
    this.kind = kind;
    this.value = value;
  }
}

/** A source that is no Lua. */
export class LuaSyntaxError extends Error {
  override readonly name = 'LuaSyntaxError';
}
