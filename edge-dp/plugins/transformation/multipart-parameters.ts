import { concatBytes } from '../../../shared/bytes.ts';
import { boundaryOf, fieldsEnd, type MultipartForm, readMultipart } from '../../http/arguments/multipart.ts';
import type { Parameters } from './parameters.ts';

/** The parts of a `multipart/form-data` body (RFC 7578). A part that is renamed keeps its other fields; files stay files. */
export class MultipartParameters implements Parameters {
  readonly #boundary: string;
  readonly #lineEnd: MultipartForm['lineEnd'];
  readonly #before: Uint8Array;
  #parts: readonly NamedPart[];
  readonly #after: Uint8Array;

  private constructor(
    boundary: string,
    lineEnd: MultipartForm['lineEnd'],
    before: Uint8Array,
    parts: readonly NamedPart[],
    after: Uint8Array,
  ) {
    this.#boundary = boundary;
    this.#lineEnd = lineEnd;
    this.#before = before;
    this.#parts = parts;
    this.#after = after;
  }

  /** Null for what is no such body; nothing at all has no parts. */
  static read(contentType: string, body: Uint8Array): MultipartParameters | null {
    const boundary = boundaryOf(contentType);
    if (boundary === null) return null;
    if (body.length === 0)
      return new MultipartParameters(boundary, '\r\n', body, [], UTF8.encode(`--${boundary}--\r\n`));
    const form = readMultipart(contentType, body);
    if (form === null) return null;
    const parts = form.parts.map(({ name, start, end }) => ({ name, bytes: body.subarray(start, end) }));
    const before = body.subarray(0, form.parts[0]?.start ?? form.end);
    const { closed, lineEnd } = form;
    if (closed) return new MultipartParameters(boundary, lineEnd, before, parts, body.subarray(form.end));
    const ended = parts.map((part, at) =>
      at < parts.length - 1 ? part : { ...part, bytes: concatBytes([part.bytes, UTF8.encode(lineEnd)]) },
    );
    return new MultipartParameters(boundary, lineEnd, before, ended, UTF8.encode(`--${boundary}--${lineEnd}`));
  }

  remove(name: string): boolean {
    return this.#drop((part) => part.name === name);
  }

  rename(from: string, to: string): boolean {
    if (!this.#has(from)) return false;
    this.#drop((part) => part.name === to);
    this.#parts = this.#parts.map((part) => (part.name === from ? renamed(part, to) : part));
    return true;
  }

  replace(name: string, value: string): boolean {
    const at = this.#parts.findIndex((part) => part.name === name);
    if (at < 0) return false;
    const others = this.#parts.filter((part, place) => place === at || part.name !== name);
    this.#parts = others.map((part) => (part.name === name ? this.#made(name, value) : part));
    return true;
  }

  add(name: string, value: string): boolean {
    if (this.#has(name)) return false;
    this.#parts = [...this.#parts, this.#made(name, value)];
    return true;
  }

  /** Kong appends nothing to such a body. */
  append(): boolean {
    return false;
  }

  encode(): Uint8Array {
    return concatBytes([this.#before, ...this.#parts.map(({ bytes }) => bytes), this.#after]);
  }

  #has(name: string): boolean {
    return this.#parts.some((part) => part.name === name);
  }

  #drop(which: (part: NamedPart) => boolean): boolean {
    const left = this.#parts.filter((part) => !which(part));
    const changed = left.length < this.#parts.length;
    this.#parts = left;
    return changed;
  }

  #made(name: string, value: string): NamedPart {
    if (value.includes(`--${this.#boundary}`)) throw new BoundaryInValue();
    const end = this.#lineEnd;
    const head = `--${this.#boundary}${end}Content-Disposition: form-data; name="${escapeName(name)}"`;
    return { name, bytes: UTF8.encode(`${head}${end}${end}${value}${end}`) };
  }
}

/** A value that would end its own part, and begin others. */
export class BoundaryInValue extends Error {
  override readonly name = 'BoundaryInValue';
}

interface NamedPart {
  readonly name: string | null;
  /** With its delimiter. */
  readonly bytes: Uint8Array;
}

function renamed({ bytes }: NamedPart, name: string): NamedPart {
  const { fields: end } = fieldsEnd(bytes);
  const head = TEXT.decode(bytes.subarray(0, end));
  const other = head.replace(NAME, (_, before: string) => `${before}"${escapeName(name)}"`);
  return { name, bytes: concatBytes([UTF8.encode(other), bytes.subarray(end)]) };
}

const NAME =
  /(\ncontent-disposition[ \t]*:(?:[^\r\n]|\r?\n[ \t])*?;[ \t]*(?:\r?\n[ \t]+)?name=)("(?:[^"\\\r\n]|\\.)*"|[^;\s]*)/i;

/** As browsers do (WHATWG HTML, multipart form data). */
function escapeName(name: string): string {
  return name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

const UTF8 = new TextEncoder();
const TEXT = new TextDecoder();
