import { type LoadedSettings, loadSettings } from '../settings/load.ts';

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
  /** Command-specific options, by name without dashes. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

/** The settings a command works with, from file, environment and its own options. */
export function settingsFor({ conf, prefix }: Pick<Invocation, 'conf' | 'prefix'>): LoadedSettings {
  return loadSettings({ conf, environment: process.env, overrides: prefix === undefined ? {} : { prefix } });
}
