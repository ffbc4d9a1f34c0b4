import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isRecord } from '../../shared/record.ts';

/** The document that a workspace's config was last made from. */
export interface LoadedDocument {
  /** MD5 of its text, in hex: Kong's `configuration_hash`. */
  readonly hash: string;
  /** The serial at which the config was just what the document says. Null: others wrote meanwhile, or it came as an object. */
  readonly serial: number | null;
}

/** Which document each workspace's config was last made from; kept in `file`, where one is given, from start to start. */
export class LastLoaded {
  readonly #file: string | null;
  readonly #known: Map<string, LoadedDocument>;

  constructor(file: string | null) {
    this.#file = file;
    this.#known = new Map(file === null ? [] : readKept(file));
  }

  get(workspace: string): LoadedDocument | undefined {
    return this.#known.get(workspace);
  }

  set(workspace: string, loaded: LoadedDocument): void {
    this.#known.set(workspace, loaded);
    if (this.#file === null) return;
    const whole = `${this.#file}.new`;
    writeFileSync(whole, JSON.stringify(Object.fromEntries(this.#known)), { mode: 0o600, flush: true });
    renameSync(whole, this.#file);
  }
}

/** What cannot be read counts as not known: the next document is loaded whatever it is. */
function readKept(file: string): [string, LoadedDocument][] {
  let kept: unknown;
  try {
    kept = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return [];
  }
  return Object.entries(isRecord(kept) ? kept : {}).flatMap(([workspace, loaded]) => {
    if (!isRecord(loaded) || typeof loaded.hash !== 'string') return [];
    return [[workspace, { hash: loaded.hash, serial: typeof loaded.serial === 'number' ? loaded.serial : null }]];
  });
}
