import { type DocumentOptions, type ParseOptions, parse as parseYaml, type SchemaOptions, YAMLParseError } from 'yaml';

/** A declarative configuration as written, before anything is checked. */
export type Document = { readonly [key: string]: unknown };

/** The text is not a document at all. `message` is Kong's. */
export class UnreadableDocument extends Error {
  override readonly name = 'UnreadableDocument';
}

/** Of YAML 1.1's types, those that Kong's reader does not know either: such values are texts. */
const UNREAD = new Set(['timestamp', 'binary', 'set', 'omap', 'pairs'].map((type) => `tag:yaml.org,2002:${type}`));

/**
 * YAML 1.1, as Kong reads it: `yes` and `off`, `0777` and `1:30`, merge keys. Aliases are bounded against documents that
 * explode, and a key that comes twice is refused.
 */
const YAML_1_1: ParseOptions & DocumentOptions & SchemaOptions & { maxAliasCount: number; logLevel: 'error' } = {
  version: '1.1',
  customTags: (tags) => tags.filter((tag) => typeof tag === 'string' || !UNREAD.has(tag.tag)),
  maxAliasCount: 1000,
  uniqueKeys: true,
  logLevel: 'error',
};

/** Reads JSON, else YAML, as Kong does whatever the text is called. Throws `UnreadableDocument`. */
export function readDocument(text: string): Document {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = readYaml(text);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UnreadableDocument('failed parsing declarative configuration: expected an object');
  }
  return { ...value };
}

function readYaml(text: string): unknown {
  try {
    return parseYaml(text, YAML_1_1);
  } catch (error) {
    const where = error instanceof YAMLParseError && error.linePos ? ` (line ${error.linePos[0].line})` : '';
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new UnreadableDocument(`failed parsing declarative configuration: ${reason}${where}`);
  }
}
