import type { EntityChange } from '../../releases/diff.ts';

/**
 * The seam to declarative config (`/config`). Implemented over `shared/declarative` and the store; it parses,
 * validates and loads as one transaction with one serial.
 */
export interface ConfigLoader {
  /**
   * Replaces the workspace's entities by a document: YAML or JSON text, or the parsed object. Throws `KongError` code
   * 14 for an invalid document, nothing being stored then.
   */
  load(
    workspace: string,
    document: string | Readonly<Record<string, unknown>>,
    options: LoadOptions,
  ): Promise<LoadOutcome>;
  /**
   * Creates and changes what a document names, as one change, and leaves the rest of the workspace alone. Throws as `load` does; null:
   * another document is being loaded into the same workspace.
   */
  merge(workspace: string, document: string | Readonly<Record<string, unknown>>): Promise<MergedConfig | null>;
  /** What `merge` would create and change. Writes nothing; throws as `load` does. */
  compare(workspace: string, document: string | Readonly<Record<string, unknown>>): Promise<readonly EntityChange[]>;
  /** Throws `Refusal` for the text of a document in JSON that would be more than this process can hold. */
  requireRoom(text: string): void;
  /** MD5 of the document that the workspace's config was last made from, in hex; zeros when it made no entities, or there was none. */
  hash(workspace: string): string;
  /** The workspace as a declarative document in YAML. */
  document(workspace: string): AsyncIterable<string>;
}

/** What became of a document that was merged. */
export interface MergedConfig {
  readonly written: number;
  readonly unchanged: number;
  /** What was taken as asked but may not be what was meant, in whole sentences. */
  readonly warnings: readonly string[];
}

interface LoadOptions {
  /** Tell errors entity by entity. */
  readonly flattenErrors: boolean;
  /** Do nothing when this very text was loaded last and nothing has changed since. */
  readonly checkHash: boolean;
}

/** What a document became. */
export interface LoadedConfig {
  /** The flattened entities, by entity and id; null: too many to be listed. */
  readonly config: Readonly<Record<string, Readonly<Record<string, unknown>>>> | null;
  /** Rows created or changed, rows that were there just so, and rows that went because the document lacks them. */
  readonly written: number;
  readonly unchanged: number;
  readonly deleted: number;
}

type LoadOutcome =
  | ({ readonly outcome: 'loaded' } & LoadedConfig)
  | { readonly outcome: 'unchanged' }
  /** Another document is being loaded into the same workspace. */
  | { readonly outcome: 'busy' };
