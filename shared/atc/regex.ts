import { RE2JS, RE2JSException } from 're2js';
import { toNativeRegex } from './native-regex.ts';

/**
 * A regular expression in RE2's syntax (Rust's `regex` and Kong's routes: no look-around, no back-references), found
 * anywhere in the input, in time linear in its length whatever the pattern and the input are.
 */
export interface LinearRegex {
  readonly pattern: string;
  /** `native`: proved free of backtracking and run by the platform. `re2`: run by an automaton. */
  readonly engine: 'native' | 're2';
  test(input: string): boolean;
  /** The leftmost match as `RegExp.prototype.exec` gives it: groups that took no part are undefined. */
  exec(input: string): RegexMatch | null;
}

type RegexMatch = readonly (string | undefined)[] & {
  readonly groups?: Readonly<Record<string, string | undefined>> | undefined;
};

type RegexResult =
  | { readonly ok: true; readonly regex: LinearRegex }
  | { readonly ok: false; readonly problem: string };

/**
 * Compiles a pattern, or says what is wrong with it. Most route patterns are simple enough to prove that the platform's
 * engine cannot backtrack on them; that engine is tenfold faster than an automaton written in JavaScript. All others
 * run on the automaton.
 */
export function compileRegex(pattern: string): RegexResult {
  const native = toNativeRegex(pattern);
  if (native) {
    return {
      ok: true,
      regex: { pattern, engine: 'native', test: (input) => native.test(input), exec: (input) => native.exec(input) },
    };
  }
  return compileAutomaton(pattern);
}

/** The automaton for any pattern, also for one that could run natively: the reference the fast way is tested against. */
export function compileAutomaton(pattern: string): RegexResult {
  try {
    const automaton = RE2JS.compile(pattern);
    return {
      ok: true,
      regex: {
        pattern,
        engine: 're2',
        test: (input) => automaton.test(input),
        exec: (input) => automaton.exec(input) as RegexMatch | null,
      },
    };
  } catch (error) {
    if (error instanceof RE2JSException) return { ok: false, problem: error.message };
    throw error;
  }
}
