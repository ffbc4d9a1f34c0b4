import { eachLineOf, type HeaderFields } from '../../http/fields.ts';

/**
 * A request's headers as plugins see and change them. Knows whether Host was set, even to what it was: the upstream is told
 * the client's Host only where the route or a plugin says so.
 */
export class RequestHeaders implements HeaderFields {
  readonly fields: HeaderFields;
  /** The Host a plugin wants sent; null: none said. */
  host: string | null = null;

  constructor(fields: HeaderFields) {
    this.fields = fields;
  }

  get(name: string): string | null {
    return this.fields.get(name);
  }

  has(name: string): boolean {
    return this.fields.has(name);
  }

  set(name: string, value: string): void {
    this.fields.set(name, value);
    if (isHost(name)) this.host = value;
  }

  append(name: string, value: string): void {
    if (isHost(name)) this.set(name, value);
    else this.fields.append(name, value);
  }

  delete(name: string): void {
    this.fields.delete(name);
    if (isHost(name)) this.host = null;
  }

  getSetCookie(): string[] {
    return this.fields.getSetCookie();
  }

  keys(): Iterable<string> {
    return this.fields.keys();
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.fields[Symbol.iterator]();
  }

  forEach(visit: (value: string, name: string) => void): void {
    this.fields.forEach(visit);
  }

  eachLine(): Iterable<[string, string]> {
    return eachLineOf(this.fields);
  }
}

function isHost(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === 'host';
}
