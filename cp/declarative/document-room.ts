import { getHeapStatistics } from 'node:v8';
import type { Document } from '../../shared/declarative/document.ts';
import { message, Refusal } from '../admin/reply.ts';

/** Of the heap that this process may have; the rest is for what it has besides documents. */
const SHARE = 0.7;
/** Bytes that a record of a document, and any other value, takes while it is loaded, as a million consumers with keys were measured. */
const [OF_RECORD, OF_VALUE, OF_CHARACTER] = [2_000, 100, 2] as const;

/**
 * Keeps documents that are being loaded within what this process may hold: one too large would not fail, but end the process and all that
 * hangs on it.
 */
export class DocumentRoom {
  readonly #most: number;
  #taken = 0;

  constructor(most = getHeapStatistics().heap_size_limit * SHARE) {
    this.#most = most;
  }

  /** Throws `Refusal` for JSON that would be too large, before anything is made of it; text of another kind passes. */
  require(text: string): void {
    if (text.length * (OF_RECORD / 2) > this.#most && /^\s*\{/.test(text)) this.#requireAtMost(leastWeightOf(text));
  }

  /** Room for a document until the function that is returned is called. Throws `Refusal`. */
  take(document: Document): () => void {
    const bytes = weightOf(document);
    this.#requireAtMost(bytes);
    if (this.#taken + bytes > this.#most) {
      throw new Refusal({
        ...message(429, 'Other documents are being loaded, and there is no room for one more'),
        headers: { 'retry-after': '5' },
      });
    }
    this.#taken += bytes;
    let isGivenBack = false;
    return () => {
      if (!isGivenBack) this.#taken -= bytes;
      isGivenBack = true;
    };
  }

  #requireAtMost(bytes: number): void {
    if (bytes <= this.#most) return;
    throw new Refusal(
      message(
        413,
        `loading this document takes some ${inMegabytes(bytes)}, and this process has ${inMegabytes(this.#most)} for documents: ` +
          "send it in parts to /config/import ('holdfast config import'), or allow more with NODE_OPTIONS=--max-old-space-size",
      ),
    );
  }
}

function weightOf(document: Document): number {
  let bytes = 0;
  const left: unknown[] = [document];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === 'string') bytes += OF_VALUE + OF_CHARACTER * value.length;
    else if (typeof value !== 'object' || value === null) bytes += OF_VALUE;
    else {
      bytes += Array.isArray(value) ? OF_VALUE : OF_RECORD;
      for (const one of Object.values(value)) left.push(one);
    }
  }
  return bytes;
}

/** What the document of a JSON text weighs without the characters of its strings: no more than `weightOf` says. */
function leastWeightOf(text: string): number {
  let [records, lists, commas, inString] = [0, 0, 0, false];
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (inString) {
      if (char === 0x5c) i++;
      else if (char === 0x22) inString = false;
    } else if (char === 0x22) inString = true;
    else if (char === 0x7b) records++;
    else if (char === 0x5b) lists++;
    else if (char === 0x2c) commas++;
  }
  const others = Math.max(0, commas + 1 - records - lists);
  return OF_RECORD * records + OF_VALUE * (lists + others);
}

const inMegabytes = (bytes: number): string => `${Math.ceil(bytes / (1 << 20))} MB`;
