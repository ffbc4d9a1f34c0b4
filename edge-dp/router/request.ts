import type { SegmentRange } from '../../shared/atc/fields.ts';
import { type IpAddress, parseIp } from '../../shared/atc/ip.ts';
import { normalizePath } from '../../shared/normalize-path.ts';
import { type HostAndPort, splitHost } from './host.ts';

/** What the router may ask of a request. It reads a field only when some route depends on it. */
export interface RouterRequest {
  readonly method: string;
  /** The `Host` header, port included. */
  readonly host: string | null;
  /** `net.protocol`; one of the last three for a stream. */
  readonly scheme: 'http' | 'https' | 'tcp' | 'tls' | 'udp';
  readonly sni: string | null;
  /** The request target's path as received, and what follows its `?`. */
  readonly path: string;
  readonly query: string;
  /** The values of a header by its lower-case name, one per line received; null when it is absent. */
  header(name: string): readonly string[] | null;
  /**
   * A header as one text, where the runtime does not tell several lines from a list in one line: `header` then gives the
   * list's items.
   */
  wholeHeader?(name: string): string | null;
  readonly sourceIp: string | null;
  readonly sourcePort: number | null;
  readonly destinationIp: string | null;
  readonly destinationPort: number | null;
  /** What the runtime knows of the client, by the name behind `edge.`: `country`, `colo`, `asn`… */
  readonly edge?: Readonly<Record<string, unknown>> | null;
}

/** Kong sees this many query arguments (`lua_max_uri_args`). */
const MAX_QUERIES = 100;

/** A request as predicates see it: derived values are computed once, when first asked for. */
export class Subject {
  readonly request: RouterRequest;
  /** Normalised. */
  readonly path: string;
  #host: HostAndPort | null | undefined;
  #segments: readonly string[] | undefined;
  #queries: ReadonlyMap<string, readonly string[]> | undefined;
  #source: IpAddress | null | undefined;
  #destination: IpAddress | null | undefined;

  constructor(request: RouterRequest) {
    this.request = request;
    this.path = normalizePath(request.path);
  }

  get host(): string | null {
    return this.#hostAndPort()?.host ?? null;
  }

  get sni(): string | null {
    return this.request.sni?.toLowerCase() || null;
  }

  /** The port the client named. */
  get ownHostPort(): number | null {
    return this.#hostAndPort()?.port ?? null;
  }

  /** The port the client named, else the scheme's. */
  get hostPort(): number {
    return this.#hostAndPort()?.port ?? (this.request.scheme === 'https' ? 443 : 80);
  }

  /** The port the client named, else the one it connected to. */
  get destinationPort(): number | null {
    return this.#hostAndPort()?.port ?? this.request.destinationPort;
  }

  get sourceIp(): IpAddress | null {
    if (this.#source === undefined)
      this.#source = this.request.sourceIp === null ? null : parseIp(this.request.sourceIp);
    return this.#source;
  }

  get destinationIp(): IpAddress | null {
    if (this.#destination === undefined) {
      this.#destination = this.request.destinationIp === null ? null : parseIp(this.request.destinationIp);
    }
    return this.#destination;
  }

  /** Segments of the path; empty ones at its end do not count. */
  get segments(): readonly string[] {
    if (this.#segments === undefined) {
      const segments = this.path.slice(1).split('/');
      while (segments.at(-1) === '') segments.pop();
      this.#segments = segments;
    }
    return this.#segments;
  }

  segmentRange({ from, to }: SegmentRange): string | null {
    const { segments } = this;
    if (to >= segments.length) return null;
    return from === to ? (segments[from] ?? null) : segments.slice(from, to + 1).join('/');
  }

  /** What one of may be asked for of a header: its lines, or what may have been one. In its name `_` also stands for `-`. */
  header(underscored: string, dashed: string): readonly string[] | null {
    const values = this.request.header(dashed) ?? (underscored === dashed ? null : this.request.header(underscored));
    if (values === null || values.length < 2) return values;
    const whole = this.#wholeHeader(underscored, dashed);
    return whole === null ? values : [whole, ...values];
  }

  /** What all must satisfy of a header: its lines, or, where they cannot be told, the whole. */
  headerLines(underscored: string, dashed: string): readonly string[] | null {
    const whole = this.#wholeHeader(underscored, dashed);
    return whole === null ? this.header(underscored, dashed) : [whole];
  }

  #wholeHeader(underscored: string, dashed: string): string | null {
    const { request } = this;
    return request.wholeHeader?.(dashed) ?? request.wholeHeader?.(underscored) ?? null;
  }

  query(name: string): readonly string[] | null {
    this.#queries ??= parseQuery(this.request.query);
    return this.#queries.get(name) ?? null;
  }

  edge(name: string): unknown {
    return this.request.edge?.[name];
  }

  #hostAndPort(): HostAndPort | null {
    if (this.#host === undefined) this.#host = this.request.host === null ? null : splitHost(this.request.host);
    return this.#host;
  }
}

/** An argument without `=` has the empty string as its value; one without a name is ignored. */
function parseQuery(query: string): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, string[]>();
  let count = 0;
  for (const part of query.split('&')) {
    if (part === '' || part.startsWith('=')) continue;
    if (++count > MAX_QUERIES) break;
    const equals = part.indexOf('=');
    const name = decodeArgument(equals < 0 ? part : part.slice(0, equals));
    const value = equals < 0 ? '' : decodeArgument(part.slice(equals + 1));
    const seen = values.get(name);
    if (seen) seen.push(value);
    else values.set(name, [value]);
  }
  return values;
}

const UTF8 = new TextDecoder();

function decodeArgument(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  return spaced.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    UTF8.decode(Uint8Array.from(run.slice(1).split('%'), (hex) => Number.parseInt(hex, 16))),
  );
}
