import { type IncomingMessage, ServerResponse } from 'node:http';
import { isFieldName } from '../../../../shared/head.ts';

/**
 * Node's answer, but for how the head of one that says its length is put together: in one go over its lines, where Node asks a regular
 * expression about each name and value, and makes a lower-case name to see what it is. By Node's own names, which it does not promise to keep:
 * where it asks for no head by this one, or where a line is more than a simple one, the head is made by Node.
 */
export class WireResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  declare _header: string | null;
  declare _headerSent: boolean;
  /** The connection ends with it. */
  declare _last: boolean;

  /** `firstLine` ends with its line break; of `lines`, names and values in turn. */
  _storeHeader(firstLine: string, lines: readonly string[]): void {
    const made = headOf(firstLine, lines);
    if (made === null) {
      Reflect.apply(STORE_HEADER, this, [firstLine, lines]);
      return;
    }
    this._header = made.head;
    this._headerSent = false;
    // Others may have made it the last already.
    if (made.last) this._last = true;
    else this.shouldKeepAlive = true;
  }
}

const STORE_HEADER = Reflect.get(ServerResponse.prototype, '_storeHeader');

/** A head, and whether the connection ends with it; null: Node is to look at it. */
function headOf(firstLine: string, lines: readonly string[]): { readonly head: string; readonly last: boolean } | null {
  if (lines.length % 2 !== 0) return null;
  let head = firstLine;
  let saysLength = false;
  let connection = '';
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at] ?? '';
    const value = lines[at + 1] ?? '';
    if (!isFieldName(name) || !isSendable(value)) return null;
    // By its length first: few are one of these.
    switch (name.length) {
      case 10:
        if (name.toLowerCase() !== 'connection') break;
        if (connection !== '' || (value !== 'close' && value !== 'keep-alive')) return null;
        connection = value;
        break;
      case 14:
        saysLength ||= name.toLowerCase() === 'content-length';
        break;
      case 6:
      case 7:
      case 17:
        // Node does more with them than write them.
        if (OTHERS.has(name.toLowerCase())) return null;
    }
    head += `${name}: ${value}\r\n`;
  }
  return saysLength && connection !== '' ? { head: `${head}\r\n`, last: connection === 'close' } : null;
}

const OTHERS: ReadonlySet<string> = new Set(['expect', 'trailer', 'transfer-encoding']);

/** Whether it is bytes that a field may have (RFC 9110 section 5.5): one would end the line, or be cut to one that does. */
function isSendable(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
}
