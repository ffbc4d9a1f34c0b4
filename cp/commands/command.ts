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
