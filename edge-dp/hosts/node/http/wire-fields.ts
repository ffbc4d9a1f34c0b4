import { FieldList } from '../../../http/fields.ts';

/**
 * Header fields as lines of bytes, which Node has as characters up to 0xff, and passes on as they came. Whoever asks for a value gets
 * text: what is UTF-8 is read as such, and text that is set is written in it, as every other host does.
 */
export class WireFields extends FieldList {
  override get(name: string): string | null {
    const value = super.get(name);
    return value === null ? null : textOf(value);
  }

  protected override written(value: string): string {
    return bytesOf(value);
  }

  override getSetCookie(): string[] {
    return super.getSetCookie().map(textOf);
  }

  override *[Symbol.iterator](): Generator<[string, string], void> {
    for (const [name, value] of super[Symbol.iterator]()) yield [name, textOf(value)];
  }

  override *eachLine(): Generator<[string, string], void> {
    for (const [name, value] of super.eachLine()) yield [name, textOf(value)];
  }
}

/** A copy that may be changed. */
export function copied(fields: FieldList): WireFields {
  return new WireFields(fields.lines.slice());
}

/** Lines as they go on the wire, for the caller: of fields that hold text, those beyond ASCII in UTF-8. */
export function wireLines(fields: FieldList): string[] {
  const lines = fields.lines.slice();
  if (fields instanceof WireFields) return lines;
  for (let at = 1; at < lines.length; at += 2) lines[at] = bytesOf(lines[at] ?? '');
  return lines;
}

const STRICT = new TextDecoder('utf-8', { fatal: true });

/** Bytes, as characters up to 0xff, read as UTF-8; what is none stays as it is. */
export function textOf(bytes: string): string {
  return utf8Of(bytes) ?? bytes;
}

/** A request target as text: bytes that are no UTF-8 as escapes, by which they reach the upstream as the same target. */
export function targetOf(bytes: string): string {
  return utf8Of(bytes) ?? bytes.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Null: it is none. */
function utf8Of(bytes: string): string | null {
  if (isAscii(bytes)) return bytes;
  try {
    return STRICT.decode(Buffer.from(bytes, 'latin1'));
  } catch {
    return null;
  }
}

/** Text as its bytes in UTF-8. */
export function bytesOf(text: string): string {
  return isAscii(text) ? text : Buffer.from(text).toString('latin1');
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}
