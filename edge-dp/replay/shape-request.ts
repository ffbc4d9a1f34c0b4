import type { RequestShape } from '../../shared/cluster/replay.ts';
import { splitLines } from '../http/fields.ts';
import type { ForeseeableRequest } from '../proxy/foresee.ts';

/** A shape as routes and plugins look at it. What is not known of it is not there, and `unsure` says that it was asked for. */
export class ShapeRequest implements ForeseeableRequest {
  readonly shape: RequestShape;
  /** Something was asked for that is not known. */
  unsure = false;
  readonly sourcePort = null;
  readonly destinationIp = null;
  readonly destinationPort = null;
  readonly headers = {
    get: (name: string): string | null => this.#value(name.toLowerCase()),
    has: (name: string): boolean => this.#has(name.toLowerCase()),
  };

  constructor(shape: RequestShape) {
    this.shape = shape;
  }

  get method(): string {
    return this.shape.method;
  }

  get scheme(): 'http' | 'https' {
    return this.shape.scheme;
  }

  get forwardedProto(): string {
    return this.shape.forwardedProto;
  }

  get version(): string {
    return this.shape.version;
  }

  get host(): string | null {
    return this.shape.host ?? this.#unknown();
  }

  get sni(): string | null {
    return this.shape.sni;
  }

  get path(): string {
    return this.shape.path;
  }

  get query(): string {
    return this.shape.query ?? this.#unknown() ?? '';
  }

  get target(): string {
    const { path, query } = this.shape;
    return query === null || query === '' ? path : `${path}?${query}`;
  }

  get sourceIp(): string | null {
    return this.shape.sourceIp ?? this.#unknown();
  }

  header(name: string): readonly string[] | null {
    const value = this.#value(name);
    return value === null ? null : splitLines(value);
  }

  wholeHeader(name: string): string | null {
    return this.#value(name);
  }

  #value(name: string): string | null {
    if (name === 'host') return this.shape.host;
    const { headers, allHeaders } = this.shape;
    const value = headers[name];
    if (value === null || (value === undefined && !allHeaders && !isFraming(name))) return this.#unknown();
    return value ?? null;
  }

  #has(name: string): boolean {
    if (this.shape.headers[name] === undefined && !this.shape.allHeaders) this.unsure = true;
    return this.shape.headers[name] !== undefined;
  }

  #unknown(): null {
    this.unsure = true;
    return null;
  }
}

/** Asked for of every request, and of no consequence for one that was served. */
function isFraming(name: string): boolean {
  return name === 'content-length' || name === 'transfer-encoding';
}
