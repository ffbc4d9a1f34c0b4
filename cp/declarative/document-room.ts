import { getHeapStatistics } from 'node:v8';
import type { Document } from '../../shared/declarative/document.ts';
import { TooMuchAtOnce } from '../../shared/declarative/yaml-parts.ts';
import { message, Refusal } from '../admin/reply.ts';
import { readConfig } from './import.ts';

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

  /**
   * Throws `Refusal` for JSON that would be too large, or for which there is no room beside others, before anything is made of it; text of
   * another kind passes.
   */
  require(text: string): void {
    if (!this.#isLong(text) || !isJson(text)) return;
    const bytes = leastWeightOf(text);
    this.#requireAtMost(bytes);
    this.#requireRoom(bytes);
  }

  /** As `readConfig`, but throws `Refusal` where the text alone is too much. */
  async read(document: string | Document): Promise<Document> {
    if (typeof document !== 'string') return document;
    this.require(document);
    const least = this.#isLong(document) ? (isJson(document) ? leastWeightOf(document) : leastOfYaml(document)) : 0;
    this.#requireRoom(least);
    // Until it is weighed as what it is: others may come while it is read.
    this.#taken += least;
    let waits = false;
    try {
      return await readConfig(document, (text) => {
        const bytes = readingOf(text);
        waits = bytes <= this.#most;
        return this.#taken - least + bytes <= this.#most;
      });
    } catch (error) {
      if (!(error instanceof TooMuchAtOnce)) throw error;
      throw waits ? noRoom() : new Refusal(message(413, TOO_MUCH_AT_ONCE));
    } finally {
      this.#taken -= least;
    }
  }

  /** Room for a document until the function that is returned is called. Throws `Refusal`. */
  take(document: Document): () => void {
    const bytes = weightOf(document);
    this.#requireAtMost(bytes);
    this.#requireRoom(bytes);
    this.#taken += bytes;
    let isGivenBack = false;
    return () => {
      if (!isGivenBack) this.#taken -= bytes;
      isGivenBack = true;
    };
  }

  /** Of one that is not, nothing could be too much. */
  #isLong(text: string): boolean {
    return text.length * (OF_RECORD / 2) > this.#most;
  }

  #requireRoom(bytes: number): void {
    // One that is alone is refused for being too large, if at all.
    if (this.#taken > 0 && this.#taken + bytes > this.#most) throw noRoom();
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

function noRoom(): Refusal {
  return new Refusal({
    ...message(429, 'Other documents are being loaded, and there is no room for one more'),
    headers: { 'retry-after': '5' },
  });
}

const isJson = (text: string): boolean => /^\s*\{/.test(text);

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

const TOO_MUCH_AT_ONCE =
  'this process has not the memory to read this document of YAML at once, as it has to where lists do not stand plainly below names at the ' +
  "margin, where there are anchors or aliases, and where something is wrong with it: 'holdfast config parse' tells what. Send it as JSON, or in parts";

/** Bytes that a character of YAML takes while it is read, and what ends a value besides, as measured. */
const [OF_YAML, OF_END] = [100, 400] as const;

/** What reading a text of YAML at once takes. */
const readingOf = (text: string): number => OF_YAML * text.length + OF_END * endsIn(text);

/** About what its document weighs, were all of its values numbers. */
const leastOfYaml = (text: string): number => OF_VALUE * endsIn(text);

function endsIn(text: string): number {
  let ends = 0;
  for (let i = 0; i < text.length; i++) if (ENDS.has(text.charCodeAt(i))) ends++;
  return ends;
}

const ENDS: ReadonlySet<number> = new Set([...'[{,\n'].map((char) => char.charCodeAt(0)));

const inMegabytes = (bytes: number): string => `${Math.ceil(bytes / (1 << 20))} MB`;
