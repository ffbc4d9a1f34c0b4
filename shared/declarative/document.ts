import { messageOf } from '../thrown.ts';
import { readYaml } from './yaml.ts';
import { type FitsAtOnce, readYamlInParts, TooMuchAtOnce } from './yaml-parts.ts';

/** A declarative configuration as written, before anything is checked. */
export type Document = { readonly [key: string]: unknown };

/** The text is not a document at all. `message` is Kong's. */
export class UnreadableDocument extends Error {
  override readonly name = 'UnreadableDocument';
}

/** Reads JSON, else YAML, as Kong does whatever the text is called. Throws `UnreadableDocument`. */
export function readDocument(text: string): Document {
  const json = jsonOf(text);
  try {
    return record(json === undefined ? readYaml(text) : json);
  } catch (error) {
    throw unreadable(error);
  }
}

/** The same for documents of any length, without keeping the thread from other work for long, or holding much more than the document. Throws `TooMuchAtOnce`, too. */
export async function readLongDocument(text: string, fits?: FitsAtOnce): Promise<Document> {
  const json = jsonOf(text);
  try {
    return record(json === undefined ? await readYamlInParts(text, fits && { fits }) : json);
  } catch (error) {
    if (error instanceof TooMuchAtOnce) throw error;
    throw unreadable(error);
  }
}

/** Undefined: the text is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function record(value: unknown): Document {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UnreadableDocument('failed parsing declarative configuration: expected an object');
  }
  return { ...value };
}

function unreadable(error: unknown): UnreadableDocument {
  if (error instanceof UnreadableDocument) return error;
  return new UnreadableDocument(`failed parsing declarative configuration: ${messageOf(error)}`);
}
