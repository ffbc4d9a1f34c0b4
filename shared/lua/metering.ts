import { concatBytes } from '../bytes.ts';

/**
 * Makes a WebAssembly module count what it does: each turn of each of its loops takes one off a global that it exports as `work`, and once
 * nothing is left of that it traps. What is written in C so counts like what is written in Lua, by what it does and not by a clock, and the
 * same on every host. How deep a module calls itself is bounded by its stack; that it does not do so over and over without a loop is for
 * who picks the module to see.
 *
 * Only what stands in the binary format (WebAssembly 2.0, chapter 5) is touched, and as little as can be: the global is the last one and the
 * export the last one, so that no index in the module changes, and at the head of each loop stands
 *
 *     work = work - 1; if (work < 0) unreachable
 *
 * Whatever is not known here is refused, as are instructions that do the work of a loop by themselves, and calls that take the place of
 * their caller, which would be loops that are none. Custom sections, which describe code as it was, are left out.
 */
export function metered(module: Uint8Array): Uint8Array<ArrayBuffer> {
  const reader = new Reader(module);
  const header = reader.take(HEADER.length);
  if (HEADER.some((byte, at) => header[at] !== byte)) throw new Error('this is no WebAssembly module of version 1');
  const out: Uint8Array[] = [header];
  /** How many globals there are before that which counts: the index of that. */
  let globals = 0;
  const missing = new Set([GLOBALS, EXPORTS, CODE]);
  while (!reader.done) {
    const id = reader.byte();
    const section = new Reader(reader.take(reader.number()));
    missing.delete(id);
    // The sections that are changed come in this order (§5.5.2), or the engine refuses the module.
    if (id === CUSTOM) continue;
    if (id === IMPORTS) {
      globals += importedGlobals(section);
      out.push(sectionOf(id, [section.whole]));
    } else if (id === GLOBALS) {
      const count = section.number();
      globals += count;
      out.push(sectionOf(id, [unsigned(count + 1), section.rest(), COUNTER]));
    } else if (id === EXPORTS) {
      const count = section.number();
      const own = [NAME.length, ...NAME, A_GLOBAL, ...unsigned(globals)];
      out.push(sectionOf(id, [unsigned(count + 1), section.rest(), own]));
    } else if (id === CODE) {
      const count = section.number();
      const toll = tollOf(globals);
      const bodies = Array.from({ length: count }, () => {
        const body = meteredBody(section.take(section.number()), toll);
        return [unsigned(sizeOf(body)), ...body];
      });
      if (!section.done) throw new Error('a WebAssembly module with more code than functions');
      out.push(sectionOf(id, [unsigned(count), ...bodies.flat()]));
    } else if (UNCHANGED.has(id)) out.push(sectionOf(id, [section.whole]));
    else throw new Error(`a WebAssembly module with a section that is not known: ${id}`);
  }
  if (missing.size > 0) throw new Error('a WebAssembly module without code, exports or globals');
  return concatBytes(out);
}

type Part = Uint8Array | readonly number[];

/** What stands at the head of each loop. */
function tollOf(counter: number): Uint8Array {
  const at = unsigned(counter);
  const [get, set, constant, minus, less, when, nothing, trap, end] = [
    0x23, 0x24, 0x41, 0x6b, 0x48, 0x04, 0x40, 0x00, 0x0b,
  ];
  const taken = [get, ...at, constant, 1, minus, set, ...at];
  return Uint8Array.from([...taken, get, ...at, constant, 0, less, when, nothing, trap, end]);
}

/** A function's locals and instructions, with the toll behind each `loop` and its type. */
function meteredBody(body: Uint8Array, toll: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const reader = new Reader(body);
  for (let groups = reader.number(); groups > 0; groups--) {
    reader.number();
    reader.byte();
  }
  let copied = 0;
  while (!reader.done) {
    const opcode = reader.byte();
    skipImmediates(reader, opcode);
    if (opcode !== LOOP) continue;
    parts.push(body.subarray(copied, reader.at), toll);
    copied = reader.at;
  }
  parts.push(body.subarray(copied));
  return parts;
}

/** Goes past what follows an opcode (§5.4). Throws for an opcode that is not known, or not to be had. */
function skipImmediates(reader: Reader, opcode: number): void {
  const shape = SHAPES[opcode];
  switch (shape) {
    case 'nothing':
      return;
    case 'number':
      reader.number();
      return;
    case 'call_indirect':
      reader.number();
      reader.number();
      return;
    case 'memory': {
      // A bit of the alignment says that the number of a memory follows: there is but one.
      if (reader.number() >= 0x40) throw new Error('a WebAssembly module with several memories');
      reader.number();
      return;
    }
    case 'br_table':
      for (let targets = reader.number() + 1; targets > 0; targets--) reader.number();
      return;
    case 'types':
      for (let types = reader.number(); types > 0; types--) reader.byte();
      return;
    case 'f32':
      reader.take(4);
      return;
    case 'f64':
      reader.take(8);
      return;
    case 'conversion': {
      // The others of this prefix copy and fill memories and tables.
      const number = reader.number();
      if (number > 7) throw new Error(`a WebAssembly instruction that cannot be metered: ${opcode} ${number}`);
      return;
    }
    default:
      throw new Error(`a WebAssembly instruction that cannot be metered: ${opcode}`);
  }
}

type Shape =
  | 'nothing'
  | 'number'
  | 'call_indirect'
  | 'memory'
  | 'br_table'
  | 'types'
  | 'f32'
  | 'f64'
  | 'conversion'
  | undefined;

/** What follows each opcode; of signed numbers only the length matters, which they have in common with others. */
const SHAPES: readonly Shape[] = Array.from({ length: 0x100 }, (_, opcode): Shape => {
  const among = (first: number, last: number) => opcode >= first && opcode <= last;
  // Blocks, branches and calls.
  if (among(0x02, 0x04) || among(0x0c, 0x0d) || opcode === 0x10) return 'number';
  if (among(0x00, 0x01) || opcode === 0x05 || opcode === 0x0b || opcode === 0x0f) return 'nothing';
  if (opcode === 0x0e) return 'br_table';
  if (opcode === 0x11) return 'call_indirect';
  // References and parameters.
  if (opcode === 0xd0 || opcode === 0xd2) return 'number';
  if (opcode === 0xd1 || among(0x1a, 0x1b)) return 'nothing';
  if (opcode === 0x1c) return 'types';
  // Variables, tables, memory.
  if (among(0x20, 0x26) || among(0x3f, 0x40)) return 'number';
  if (among(0x28, 0x3e)) return 'memory';
  // Numbers.
  if (among(0x41, 0x42)) return 'number';
  if (opcode === 0x43) return 'f32';
  if (opcode === 0x44) return 'f64';
  if (among(0x45, 0xc4)) return 'nothing';
  return opcode === 0xfc ? 'conversion' : undefined;
});

function importedGlobals(section: Reader): number {
  let globals = 0;
  for (let imports = section.number(); imports > 0; imports--) {
    section.take(section.number());
    section.take(section.number());
    const kind = section.byte();
    if (kind === A_FUNCTION) section.number();
    else if (kind === A_GLOBAL) {
      section.take(2);
      globals++;
    } else if (kind === A_TABLE || kind === A_MEMORY) {
      if (kind === A_TABLE) section.byte();
      const limits = section.byte();
      if (limits > 1) throw new Error('a WebAssembly module that imports what is not known');
      section.number();
      if (limits === 1) section.number();
    } else throw new Error('a WebAssembly module that imports what is not known');
  }
  return globals;
}

class Reader {
  at = 0;
  readonly whole: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.whole = bytes;
  }

  get done(): boolean {
    return this.at === this.whole.length;
  }

  byte(): number {
    const byte = this.whole[this.at];
    if (byte === undefined) throw new Error(CUT_OFF);
    this.at++;
    return byte;
  }

  /** LEB128 (§5.2.2), whose value matters only where it is unsigned and below 2^32. */
  number(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 70; factor *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new Error('a WebAssembly module with a number that is too long');
  }

  take(length: number): Uint8Array {
    if (length > this.whole.length - this.at) throw new Error(CUT_OFF);
    this.at += length;
    return this.whole.subarray(this.at - length, this.at);
  }

  rest(): Uint8Array {
    return this.take(this.whole.length - this.at);
  }
}

const CUT_OFF = 'a WebAssembly module that is cut off';

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left & 0x7f) | 0x80);
  return [...bytes, left];
}

function sectionOf(id: number, parts: readonly Part[]): Uint8Array {
  return concatBytes([[id, ...unsigned(sizeOf(parts))], ...parts]);
}

const sizeOf = (parts: readonly Part[]): number => parts.reduce((sum, part) => sum + part.length, 0);

/** The magic number and the version. */
const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** Ids of sections. */
const CUSTOM = 0;
const IMPORTS = 2;
const GLOBALS = 6;
const EXPORTS = 7;
const CODE = 10;
/** Types, functions, tables, memory, start, elements, data, and how many of those there are. */
const UNCHANGED: ReadonlySet<number> = new Set([1, 3, 4, 5, 8, 9, 11, 12]);
/** Kinds of what is imported and exported. */
const A_FUNCTION = 0;
const A_TABLE = 1;
const A_MEMORY = 2;
const A_GLOBAL = 3;
const LOOP = 0x03;
const NAME = [...'work'].map((letter) => letter.charCodeAt(0));
/** `(global (mut i32) (i32.const 0x7fffffff))`. */
const COUNTER = [0x7f, 0x01, 0x41, 0xff, 0xff, 0xff, 0xff, 0x07, 0x0b];
