import { readFile, stat } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import type { SecretOptions } from './options.ts';

/** Variables of a process and of a file (`NAME=value` lines; quoted values may have several), which is read again when it changes. */
export class Environment {
  #variables: Readonly<Record<string, string | undefined>>;
  #file: string | null;
  #read: { readonly version: string; readonly variables: Readonly<Record<string, string | undefined>> } | null = null;

  constructor({ variables, file }: SecretOptions) {
    this.#variables = variables;
    this.#file = file;
  }

  /** From now on these. */
  change({ variables, file }: SecretOptions): void {
    this.#variables = variables;
    this.#file = file;
    this.#read = null;
  }

  /** Those that are there. Throws when the file cannot be read. */
  async read(names: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const all = await this.all();
    return Object.fromEntries(
      names.flatMap((name) => {
        const value = Object.hasOwn(all, name) ? all[name] : undefined;
        return value === undefined ? [] : [[name, value]];
      }),
    );
  }

  async all(): Promise<Readonly<Record<string, string>>> {
    const merged = { ...this.#variables, ...(await this.#ofFile()) };
    return Object.fromEntries(
      Object.entries(merged).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    );
  }

  async #ofFile(): Promise<Readonly<Record<string, string | undefined>>> {
    if (this.#file === null) return {};
    const { mtimeMs, size, ino } = await stat(this.#file);
    const version = `${mtimeMs} ${size} ${ino}`;
    if (this.#read?.version !== version)
      this.#read = { version, variables: parseEnv(await readFile(this.#file, 'utf8')) };
    return this.#read.variables;
  }
}
