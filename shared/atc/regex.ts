import { RE2JS, RE2JSException } from 're2js';
import { abridged } from '../abridged.ts';
import { messageOf } from '../thrown.ts';
import { toNativeRegex } from './native-regex.ts';
import { programSize, regexSizeProblem } from './regex-size.ts';

/**
 * A regular expression in RE2's syntax (Rust's `regex` and Kong's routes: no look-around, no back-references), found
 * anywhere in the input, in time linear in its length whatever the pattern and the input are.
 */
export interface LinearRegex extends Regex {
  /** `native`: proved free of backtracking and run by the platform. `re2`: run by an automaton. */
  readonly engine: 'native' | 're2';
}

/** A compiled regular expression, found anywhere in the input. Has been run once. */
export interface Regex {
  readonly pattern: string;
  test(input: string): boolean;
  /** The leftmost match as `RegExp.prototype.exec` gives it: groups that took no part are undefined. */
  exec(input: string): RegexMatch | null;
}

type RegexMatch = readonly (string | undefined)[] & {
  readonly groups?: Readonly<Record<string, string | undefined>> | undefined;
};

type Compiled<R extends Regex> =
  | { readonly ok: true; readonly regex: R }
  | { readonly ok: false; readonly problem: string };

/** The platform's engine runs out of stack at five times this size; what is larger runs on the automaton. */
const MAX_NATIVE = 1000;
/** Beyond this size a pattern is also tried on text of two bytes a character, which the platform compiles it for anew. */
const TRY_WIDE = 200;

/**
 * Compiles a pattern and runs it once, or says what is wrong with it: engines compile late, so that only a run proves
 * that requests can be matched. Most route patterns are simple enough to prove that the platform's engine cannot
 * backtrack on them; that engine is tenfold faster than an automaton written in JavaScript. All others run on the
 * automaton. Both planes call this with the same text: what the one accepts, the other can run.
 */
export function compileRegex(pattern: string): Compiled<LinearRegex> {
  const tooLarge = regexSizeProblem(pattern);
  if (tooLarge !== undefined) return { ok: false, problem: tooLarge };
  const native = programSize(pattern) <= MAX_NATIVE ? toNativeRegex(pattern) : null;
  return native ? tried({ engine: 'native', ...onPlatform(pattern, native) }) : compileAutomaton(pattern);
}

/** The automaton for any pattern, also for one that could run natively: the reference the fast way is tested against. */
export function compileAutomaton(pattern: string): Compiled<LinearRegex> {
  try {
    const automaton = RE2JS.compile(pattern);
    return tried({
      pattern,
      engine: 're2',
      test: (input) => automaton.test(input),
      exec: (input) => automaton.exec(input) as RegexMatch | null,
    });
  } catch (error) {
    if (error instanceof RE2JSException) return { ok: false, problem: abridged(error.message) };
    throw error;
  }
}

/**
 * Compiles a pattern of a plugin's configuration. Kong compiles those with PCRE, which knows what RE2 and what
 * ECMAScript know: `(?i)` is foreign to the one and look-around to the other, so either will do, the linear one first.
 * Should it throw at run time all the same, so must the plugin: a rule that denies is not to be passed over.
 * `flags` are of those that mean the same to both (`i`, `m`, `s`).
 */
export function compilePattern(pattern: string, flags = ''): Compiled<Regex> {
  const flagged = flags === '' ? pattern : `(?${flags})${pattern}`;
  const linear = compileRegex(flagged);
  if (linear.ok || regexSizeProblem(flagged) !== undefined) return linear;
  try {
    return tried(onPlatform(pattern, new RegExp(pattern, flags)));
  } catch {
    return linear;
  }
}

/** A pattern that is to be the whole of a text. */
export function wholePattern(pattern: string): string {
  return `^(?:${pattern})$`;
}

function onPlatform(pattern: string, regex: RegExp): Regex {
  return { pattern, test: (input) => regex.test(input), exec: (input) => regex.exec(input) };
}

function tried<R extends Regex>(regex: R): Compiled<R> {
  try {
    regex.test('/');
    regex.exec('/');
    if (regex.pattern.length > TRY_WIDE) regex.test('/\u0101');
    return { ok: true, regex };
  } catch (error) {
    // The platform's message begins with the whole pattern.
    return { ok: false, problem: `pattern cannot be run: ${messageOf(error).slice(-100)}` };
  }
}
