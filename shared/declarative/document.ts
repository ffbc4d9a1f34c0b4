import { messageOf } from '../thrown.ts';
import { readYaml } from './yaml.ts';

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
    value = yaml(text);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UnreadableDocument('failed parsing declarative configuration: expected an object');
  }
  return { ...value };
}

function yaml(text: string): unknown {
  try {
    return readYaml(text);
  } catch (error) {
    throw new UnreadableDocument(`failed parsing declarative configuration: ${messageOf(error)}`);
  }
}
