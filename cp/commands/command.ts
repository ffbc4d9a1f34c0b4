import { resolve } from 'node:path';
import { type LoadedSettings, loadPrefix, loadSettings } from '../settings/load.ts';

/** A failure the person at the terminal can mend; printed as it stands, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** For a command that is told what to do by its next word: that word is missing or is none of `known`. */
export function unknownAction(command: string, known: readonly string[], found: string): CommandError {
  const choices = known.map((action) => `'${command} ${action}'`).join(', ');
  return new CommandError(
    `expected ${choices}, found ${found === '' ? `'${command}' alone` : `'${command} ${found}'`}`,
    2,
  );
}

/**
 * What to print of a failed command: the message alone where the world is at fault (a file, a port, a database), the
 * stack with it where the program is.
 */
export function describeFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (OWN_FAULTS.some((kind) => error instanceof kind)) return error.stack ?? error.message;
  // Node says nothing at the top when every address of a name failed.
  if (error instanceof AggregateError && error.message === '') return error.errors.map(describeFailure).join('; ');
  return error.message;
}

const OWN_FAULTS = [TypeError, ReferenceError, RangeError, SyntaxError] as const;

/** The options every command takes, and the words after its name. */
export interface Invocation {
  readonly words: readonly string[];
  readonly conf: string | undefined;
  readonly prefix: string | undefined;
  /** Those of the command's own that were given, by name without dashes. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

/** An option of a command's own. */
export interface Option {
  readonly short?: string;
  /** What stands for its value in help; none where the option is a switch. */
  readonly takes?: string;
  readonly text: string;
}

/** A command: what it does, and what help and completion say of it. */
export interface Command {
  /** One line, for the list of all commands. */
  readonly summary: string;
  /** What may follow its name, one form each with what that does; empty where nothing more is to say than the summary. */
  readonly forms?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, Option>>;
  /** What is a word and no option although it may begin with a hyphen, as an id of a key. */
  readonly words?: RegExp;
  readonly examples: readonly string[];
  /** Exit codes of its own, beside 0 (done), 1 (failed) and 2 (asked for wrongly). */
  readonly exitCodes?: Readonly<Record<number, string>>;
  run(invocation: Invocation): Promise<void> | void;
}

/** Reads a whole number of seconds, days and the like. Throws, naming the option, where it is none from `least` to `most`. */
export function wholeNumber(given: unknown, option: string, least: number, most: number): number | undefined {
  if (given === undefined) return undefined;
  const number = Number(given);
  if (Number.isInteger(number) && number >= least && number <= most && given !== '') return number;
  throw new CommandError(`--${option} takes a whole number from ${least} to ${most}, not '${given}'`, 2);
}

/** The folder of the instance that a command is about, also where its settings would not do for a start. */
export function folderFor({ conf, prefix }: Pick<Invocation, 'conf' | 'prefix'>): string {
  return resolve(loadPrefix({ conf, environment: process.env, overrides: prefix === undefined ? {} : { prefix } }));
}

/** The settings a command works with, from file, environment and its own options. */
export function settingsFor({ conf, prefix }: Pick<Invocation, 'conf' | 'prefix'>): LoadedSettings {
  return loadSettings({ conf, environment: process.env, overrides: prefix === undefined ? {} : { prefix } });
}
