import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { compileAutomaton, compilePattern, compileRegex, type LinearRegex } from '../../../shared/atc/regex.ts';
import { programSize } from '../../../shared/atc/regex-size.ts';

function compiled(pattern: string, compile = compileRegex): LinearRegex {
  const result = compile(pattern);
  if (!result.ok) throw new Error(`${pattern}: ${result.problem}`);
  return result.regex;
}

describe('hostile patterns never reach a backtracking engine', () => {
  it.each([
    '^/(a+)+$',
    '^/(a|a)*$',
    '^/a*a*a*b',
    '^/.*.*x',
    '^(/[^/]+)*$',
    '^/\\d+\\w+$',
    '^/(?:a|ab)(?:c|bcd)(?:d*)$',
    '^/([a-z]+)?[a-z]+x',
    '^/\\s*[^/]*/x',
    '(x+x+)+y',
    '^/x?x?x?xxx',
    '^(?:a?){3}aaa$',
  ])('%s', (pattern) => {
    const regex = compiled(pattern);
    expect(regex.engine).toBe('re2');
    expect(regex.test(`/${'a'.repeat(20_000)}!`)).toBe(compiled(pattern).exec(`/${'a'.repeat(20_000)}!`) !== null);
  });
});

describe('simple patterns of routes run on the platform', () => {
  it.each([
    '^/api/v1/users/(?P<id>[^/]+)/posts/(?P<post>\\d+)$',
    '^/users/\\d+/?$',
    '^/a\\.b/(?:x|y)?',
    '^/(?<rest>.*)$',
    '^/v\\d{1,3}/items',
    '^/a[a-f0-9]{32}/?',
  ])('%s', (pattern) => expect(compiled(pattern).engine).toBe('native'));
});

it.each(['/(?=a)', '/(?!a)', '/(?<=a)b', '/(a)\\1', '/(a', '/[z-a]', '/a{2000}', '/(?P<n>a)(?P<n>b)'])(
  'refuses %s',
  (pattern) => {
    expect(compileRegex(`^${pattern}`)).toMatchObject({ ok: false });
  },
);

describe('patterns that compile to too much', () => {
  it.each([
    ['segments', `^/${'\\w+/'.repeat(5300)}`],
    ['optional groups', `^/${'(a|b|c)?'.repeat(20_000)}`],
    ['a copied group', '^/(?:[a-z]x[0-9]y){999}z{1000}'],
    ['characters', `^/${'a'.repeat(40_000)}`],
    ['long classes', `^/${`[${'abcdefghijklmnop'.repeat(40)}]`.repeat(200)}`],
  ])('are refused before anything is compiled: %s', (_what, pattern) => {
    expect(compileRegex(pattern)).toMatchObject({ ok: false, problem: expect.stringMatching(/^pattern is too large/) });
    expect(compilePattern(pattern)).toMatchObject({ ok: false });
    expect(compilePattern(`${pattern}(?=x)`)).toMatchObject({ ok: false });
  });

  it('while what is merely long runs, on the engine that has no stack to run out of', () => {
    const long = compiled(`^/${'\\w+/'.repeat(900)}$`);
    expect(long.engine).toBe('re2');
    expect(long.test(`/${'ab/'.repeat(900)}`)).toBe(true);
    const words = Array.from({ length: 300 }, (_, i) => `tenant${i}`);
    expect(compiled(`^/(?:${words.join('|')})/`).test('/tenant299/')).toBe(true);
  });
});

describe('both engines see the same', () => {
  const atoms = ['a', 'b', '/', '.', '\\d', '\\w', '\\s', '[^/]', '[ab]', '[a-c0-9]', '[^b-]', '\\.', '-', '\\/', 'é'];
  const repeats = ['', '', '', '?', '*', '+', '{2}', '{1,2}', '{0,1}', '{1,}'];
  const letters = ['a', 'b', 'c', '/', '1', '.', '-', ' ', '\u00a0', '\n', '\v', 'é', '😀', '\u2028', '_', '^'];

  it('over generated patterns and inputs', () => {
    let state = 12345;
    const below = (end: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % end;
    };
    const item = (depth: number): string => {
      if (depth < 2 && below(4) === 0) {
        const open = ['(', '(?:', `(?P<n${below(1000)}>`, '(?<x>'][below(4)] ?? '(';
        const bodies = Array.from({ length: 1 + below(2) }, () => sequence(depth + 1));
        return `${open}${bodies.join('|')})${['', '', '?'][below(3)]}`;
      }
      return `${atoms[below(atoms.length)]}${repeats[below(repeats.length)]}`;
    };
    const sequence = (depth: number): string => Array.from({ length: 1 + below(4) }, () => item(depth)).join('');
    const seen = { native: 0, re2: 0 };
    for (let i = 0; i < 6000; i++) {
      const pattern = `^/${sequence(0)}${below(2) ? '$' : ''}`;
      const fast = compileRegex(pattern);
      const slow = compileAutomaton(pattern);
      // What is counted is never less than what is compiled.
      if (slow.ok) expect(programSize(pattern)).toBeGreaterThanOrEqual(RE2JS.compile(pattern).programSize());
      expect({ pattern, ok: fast.ok }).toEqual({ pattern, ok: slow.ok });
      if (!fast.ok || !slow.ok) continue;
      seen[fast.regex.engine]++;
      if (fast.regex.engine === 're2') continue;
      for (let j = 0; j < 12; j++) {
        const input = `/${Array.from({ length: below(7) }, () => letters[below(letters.length)]).join('')}`;
        const [a, b] = [fast.regex.exec(input), slow.regex.exec(input)];
        expect({ pattern, input, groups: a && [...a], named: { ...a?.groups } }).toEqual({
          pattern,
          input,
          groups: b && [...b],
          named: { ...b?.groups },
        });
        expect(fast.regex.test(input)).toBe(a !== null);
      }
    }
    expect(Math.min(seen.native, seen.re2)).toBeGreaterThan(500);
  });
});
