import { parse as parseYaml, YAMLParseError } from 'yaml';

/** A declarative configuration as written, before anything is checked. */
export type Document = { readonly [key: string]: unknown };

/** The text is not a document at all. `message` is Kong's. */
export class UnreadableDocument extends Error {
  override readonly name = 'UnreadableDocument';
}

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
    // The core schema: no timestamps or binary, and aliases bounded against documents that explode.
    return parseYaml(text, { schema: 'core', maxAliasCount: 1000, uniqueKeys: true });
  } catch (error) {
    const where = error instanceof YAMLParseError && error.linePos ? ` (line ${error.linePos[0].line})` : '';
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new UnreadableDocument(`failed parsing declarative configuration: ${reason}${where}`);
  }
}
