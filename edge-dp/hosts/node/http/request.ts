import type { IncomingMessage } from 'node:http';
import { FieldList, type HeaderFields, lineLength } from '../../../http/fields.ts';
import type { IncomingRequest } from '../../../http/messages.ts';
import { ClientBody } from './client-body.ts';
import { copied, targetOf, WireFields } from './wire-fields.ts';

/** A request over HTTP/1, or a stream of HTTP/2 as one. */
export class NodeRequest implements IncomingRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: WireFields;
  readonly fieldNames: readonly string[];
  readonly body: ClientBody | null;
  readonly version: string;
  /** Who sends interim answers; null: its client takes none. */
  informer: Pick<Required<IncomingRequest>, 'inform'> | null = null;
  readonly #listeners: (() => void)[] = [];
  #left = false;

  /** `lines`: names and values in turn. */
  constructor(parts: {
    readonly method: string;
    readonly target: string;
    readonly version: string;
    readonly lines: string[];
    readonly body: ClientBody | null;
  }) {
    this.method = parts.method;
    this.target = parts.target;
    this.version = parts.version;
    this.headers = new WireFields(parts.lines);
    this.fieldNames = namesOf(parts.lines);
    this.body = parts.body;
  }

  get clientLeft(): boolean {
    return this.#left;
  }

  get fieldBytes(): number {
    const { lines } = this.headers;
    let bytes = 0;
    for (let at = 0; at < lines.length; at += 2) bytes += lineLength(lines[at] ?? '', lines[at + 1] ?? '');
    return bytes;
  }

  onClientLeft(listener: () => void): void {
    if (this.#left) listener();
    else this.#listeners.push(listener);
  }

  inform(status: number, lines: readonly string[]): void {
    if (!this.#left) this.informer?.inform(status, lines);
  }

  copyOf(headers: HeaderFields): HeaderFields {
    if (headers instanceof FieldList) return copied(headers);
    const copy = new WireFields();
    for (const [name, value] of headers) copy.append(name, value);
    return copy;
  }

  /** For whoever has the connection: the client is gone before all of the answer was sent. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    for (const listener of this.#listeners.splice(0)) listener();
  }
}

/** Who says who they are twice says nothing: servers differ in which of the lines counts, and nginx refuses both. */
export function repeatsAuthorization(lines: readonly string[]): boolean {
  let found = false;
  for (let at = 0; at < lines.length; at += 2) {
    const name = lines[at] ?? '';
    if (name.length !== AUTHORIZATION.length || name.toLowerCase() !== AUTHORIZATION) continue;
    if (found) return true;
    found = true;
  }
  return false;
}

const AUTHORIZATION = 'authorization';

/** A request as Node's parser read it. Null: its target has no form that a gateway serves (RFC 9112 section 3.2). */
export function http1Request(message: IncomingMessage, askForBody: (() => void) | null = null): NodeRequest | null {
  const { method = '', url = '', rawHeaders, httpVersion, headers } = message;
  const lines = rawHeaders;
  let target = url;
  if (!url.startsWith('/')) {
    const [, authority, rest = ''] = ABSOLUTE.exec(url) ?? [];
    if (authority === undefined) return null;
    target = rest.startsWith('/') ? rest : `/${rest}`;
    // Section 3.2.2: it says which host is meant, whatever Host says.
    replaceHost(lines, authority);
  }
  const announced = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const trailer = headers.trailer ?? null;
  const body = announced ? new ClientBody(message, askForBody, () => message.rawTrailers, trailer) : null;
  return new NodeRequest({ method, target: targetOf(target), version: httpVersion, lines, body });
}

const ABSOLUTE = /^https?:\/\/([^/?#]+)(.*)$/is;

function replaceHost(lines: string[], authority: string): void {
  for (let at = lines.length - 2; at >= 0; at -= 2) if (lines[at]?.toLowerCase() === 'host') lines.splice(at, 2);
  lines.unshift('Host', authority);
}

function namesOf(lines: readonly string[]): string[] {
  const names: string[] = [];
  for (let at = 0; at < lines.length; at += 2) {
    const name = (lines[at] ?? '').toLowerCase();
    if (!names.includes(name)) names.push(name);
  }
  return names;
}
