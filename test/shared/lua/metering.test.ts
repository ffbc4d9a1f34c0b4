import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { metered } from '../../../shared/lua/metering.ts';

const I32 = 0x7f;
const [BLOCK, LOOP, IF, ELSE, END, NOTHING] = [0x02, 0x03, 0x04, 0x05, 0x0b, 0x40];
const [BR_IF, RETURN, CALL, GET, SET] = [0x0d, 0x0f, 0x10, 0x20, 0x21];
const [DROP, CONST, EQZ, ADD, MINUS] = [0x1a, 0x41, 0x45, 0x6a, 0x6b];

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const name = (text: string) => [text.length, ...Buffer.from(text)];
const section = (id: number, ...bytes: number[]) => [id, ...leb(bytes.length), ...bytes];
const body = (...code: number[]) => [...leb(code.length + 1), ...code, END];

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(value >> 7)];
}

/** Takes one off the first parameter and goes back to the loop at `depth` while something is left. */
const again = (depth: number) => [GET, 0, CONST, 1, MINUS, 0x22, 0, BR_IF, depth];

interface Made {
  readonly imports?: readonly number[];
  /** Index of the function and of the global: how many are imported. */
  readonly at?: number;
  /** Of the function, beside its parameters. */
  readonly locals?: readonly number[];
  readonly more?: readonly number[];
}

/** A module with one function `run` of two numbers that gives one, and a global `own`. */
function moduleOf(code: readonly number[], { imports = [], at = 0, locals = [0], more = [] }: Made = {}) {
  return Uint8Array.from([
    ...HEADER,
    ...section(1, 1, 0x60, 2, I32, I32, 1, I32),
    ...imports,
    ...section(3, 1, 0),
    ...section(6, 1, I32, 1, CONST, 5, END),
    ...section(7, 2, ...name('run'), 0, at, ...name('own'), 3, at),
    ...section(10, 1, ...body(...locals, ...code)),
    ...more,
  ]);
}

interface Exports {
  readonly run: (a: number, b: number) => number;
  readonly work: { value: number };
  readonly own: { value: number };
}

function instance(module: Uint8Array, imports: object = {}): Exports {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(metered(module)), imports);
  return exports as unknown as Exports;
}

/** How many turns a call takes. */
function turnsOf({ run, work }: Exports, a: number, b: number): readonly [result: number, turns: number] {
  work.value = 1000;
  const result = run(a, b);
  return [result, 1000 - work.value];
}

const COUNTDOWN = [LOOP, NOTHING, ...again(0), END, GET, 0];

describe('a metered module', () => {
  test('takes one off for each turn of a loop, and nothing for the rest', () => {
    const counted = instance(moduleOf(COUNTDOWN));
    expect(turnsOf(counted, 1, 0)).toEqual([0, 1]);
    expect(turnsOf(counted, 7, 0)).toEqual([0, 7]);
    expect(turnsOf(instance(moduleOf([GET, 0, GET, 1, ADD])), 3, 4)).toEqual([7, 0]);
    const left = [BLOCK, NOTHING, LOOP, NOTHING, GET, 1, BR_IF, 1, ...again(0), END, END, GET, 0];
    expect(turnsOf(instance(moduleOf(left)), 7, 1)).toEqual([7, 1]);
  });

  test('counts loops within loops, with results, and behind branches', () => {
    // Each turn of the outer one takes as many of the inner one as the second parameter says.
    const inner = [GET, 1, SET, 2, LOOP, NOTHING, GET, 2, CONST, 1, MINUS, 0x22, 2, BR_IF, 0, END];
    const nested = [LOOP, NOTHING, ...inner, ...again(0), END, GET, 0];
    expect(turnsOf(instance(moduleOf(nested, { locals: [1, 1, I32] })), 3, 4)).toEqual([0, 3 + 3 * 4]);
    const result = [LOOP, I32, ...again(0), GET, 0, END];
    expect(turnsOf(instance(moduleOf(result)), 5, 0)).toEqual([0, 5]);
    const one = [LOOP, NOTHING, ...again(0), END];
    const branches = [GET, 1, IF, NOTHING, ...one, ELSE, 0x01, END, GET, 0];
    expect(turnsOf(instance(moduleOf(branches)), 5, 1)).toEqual([0, 5]);
    expect(turnsOf(instance(moduleOf(branches)), 5, 0)).toEqual([5, 0]);
  });

  test('takes constants for what they are, whatever their bytes', () => {
    const [f32, f64] = [0x43, 0x44];
    const code = [
      ...[CONST, 0x83, 0x83, 0x83, 0x03, DROP],
      ...[0x42, 0x83, 0x83, 0x83, 0x83, 0x83, 0x83, 0x83, 0x83, 0x83, 0x00, DROP],
      ...[f32, LOOP, NOTHING, LOOP, NOTHING, DROP],
      ...[f64, LOOP, NOTHING, LOOP, NOTHING, LOOP, NOTHING, LOOP, NOTHING, DROP],
      ...[f32, 0, 0, 0, 0, 0xfc, 0x00, DROP],
      ...[BLOCK, NOTHING, BLOCK, NOTHING, GET, 0, 0x0e, 2, 0, 1, 1, END, END],
      ...COUNTDOWN,
    ];
    expect(turnsOf(instance(moduleOf(code)), 3, 0)).toEqual([0, 3]);
  });

  test('traps once nothing is left, and goes on when more is given', () => {
    const { run, work } = instance(moduleOf(COUNTDOWN));
    expect(work.value).toBe(0x7fffffff);
    work.value = 5;
    expect(run(5, 0)).toBe(0);
    expect(work.value).toBe(0);
    work.value = 5;
    expect(() => run(6, 0)).toThrow(WebAssembly.RuntimeError);
    work.value = 6;
    expect(run(6, 0)).toBe(0);
  });

  test('leaves every index as it is, of globals that are imported too', () => {
    const imported = [...name('env'), ...name('f'), 0, 0, ...name('env'), ...name('g'), 3, I32, 0];
    const others = [...name('env'), ...name('t'), 1, 0x70, 1, 1, 2, ...name('env'), ...name('m'), 2, 0, 1];
    const imports = section(2, 4, ...imported, ...others);
    const code = [0x23, 1, GET, 0, GET, 1, CALL, 0, ADD, 0x24, 1, LOOP, NOTHING, ...again(0), END, 0x23, 1];
    const module = moduleOf(code, { imports, at: 1 });
    const given = {
      env: {
        f: (a: number, b: number) => a * b,
        g: 9,
        t: new WebAssembly.Table({ initial: 1, maximum: 2, element: 'anyfunc' }),
        m: new WebAssembly.Memory({ initial: 1 }),
      },
    };
    const made = instance(module, given);
    expect(turnsOf(made, 3, 4)).toEqual([17, 3]);
    expect(made.own.value).toBe(17);
  });

  test('is as before where it comes from Lua, but for the counter', () => {
    const lua = readFileSync(fileURLToPath(import.meta.resolve('wasmoon-lua5.1/dist/liblua5.1.wasm')));
    const [before, after] = [new WebAssembly.Module(lua), new WebAssembly.Module(metered(lua))];
    expect(WebAssembly.Module.imports(after)).toEqual(WebAssembly.Module.imports(before));
    expect(WebAssembly.Module.exports(after)).toEqual([
      ...WebAssembly.Module.exports(before),
      expect.objectContaining({ name: 'work', kind: 'global' }),
    ]);
  });

  test('has no custom section, which would tell of code that is no more', () => {
    const module = moduleOf(COUNTDOWN, { more: section(0, ...name('name'), 1, 2, 3) });
    expect(WebAssembly.Module.customSections(new WebAssembly.Module(metered(module)), 'name')).toEqual([]);
  });
});

describe('metering refuses', () => {
  test.each([
    ['a file that is no module', Uint8Array.from([0, 0x61, 0x73, 0x6d, 2, 0, 0, 0])],
    ['an empty file', new Uint8Array()],
    ['a module without globals', Uint8Array.from([...HEADER, ...section(1, 0)])],
    ['a section that is not known', moduleOf(COUNTDOWN, { more: section(13, 0) })],
    ['more than a section says', moduleOf(COUNTDOWN).subarray(0, -1)],
    ['a number without an end', moduleOf([CONST, ...Array(11).fill(0x80), 0, RETURN])],
    [
      'an import that is not known',
      moduleOf(COUNTDOWN, { imports: section(2, 1, ...name('a'), ...name('b'), 4, 0, 0) }),
    ],
    [
      'a memory that is shared',
      moduleOf(COUNTDOWN, { imports: section(2, 1, ...name('a'), ...name('b'), 2, 3, 1, 1) }),
    ],
  ])('%s', (_, module) => {
    expect(() => metered(module)).toThrow(/WebAssembly module/);
  });

  test.each([
    ['a call in place of its caller', [0x12, 0]],
    ['an indirect one', [0x13, 0, 0]],
    ['memory.copy', [0xfc, 0x0a, 0, 0]],
    ['memory.fill', [0xfc, 0x0b, 0]],
    ['table.init', [0xfc, 0x0c, 0, 0]],
    ['try', [0x06, NOTHING, END]],
    ['try_table', [0x1f, NOTHING, 0, END]],
    ['call_ref', [0x14, 0]],
    ['SIMD', [0xfd, 0x0c, ...Array(16).fill(LOOP)]],
    ['threads', [0xfe, 0x03, 0]],
    ['several memories', [0x28, 0x42, 1, 0]],
    ['the garbage collection', [0xfb, 0x00, 0]],
    ['what is no opcode', [0xff]],
    ['one that is reserved', [0x27]],
  ])('%s', (_, code) => {
    expect(() => metered(moduleOf([...code, GET, 0]))).toThrow(/cannot be metered|several memories/);
  });

  test('what is cut off anywhere', () => {
    const module = moduleOf([GET, 1, EQZ, DROP, ...COUNTDOWN]);
    for (let length = 0; length < module.length; length++) {
      const cut = module.subarray(0, length);
      expect(() => new WebAssembly.Module(metered(cut)), String(length)).toThrow();
    }
  });
});
