import { parseSegments } from '../../shared/atc/fields.ts';
import type { IpAddress } from '../../shared/atc/ip.ts';
import type { Subject } from './request.ts';

/** How to read a field of a request. Null: the request has no such thing, and every predicate on it is false. */
export type FieldReader =
  | { readonly kind: 'text'; readonly read: (subject: Subject) => string | null }
  | {
      readonly kind: 'texts';
      /** One of them is to satisfy a predicate with `any()`, all of the others one without. */
      readonly read: (subject: Subject) => readonly string[] | null;
      readonly readAll: (subject: Subject) => readonly string[] | null;
    }
  | { readonly kind: 'int'; readonly read: (subject: Subject) => number | null }
  | { readonly kind: 'ip'; readonly read: (subject: Subject) => IpAddress | null };

const READERS: Readonly<Record<string, FieldReader>> = {
  'net.protocol': { kind: 'text', read: (s) => s.request.scheme },
  'net.src.ip': { kind: 'ip', read: (s) => s.sourceIp },
  'net.src.port': { kind: 'int', read: (s) => s.request.sourcePort },
  'net.dst.ip': { kind: 'ip', read: (s) => s.destinationIp },
  'net.dst.port': { kind: 'int', read: (s) => s.destinationPort },
  'net.port': { kind: 'int', read: (s) => s.destinationPort },
  'tls.sni': { kind: 'text', read: (s) => s.sni },
  'http.method': { kind: 'text', read: (s) => s.request.method },
  'http.host': { kind: 'text', read: (s) => s.host },
  // Not in the language: what hosts with a port ask for in flavour `traditional`.
  'http.host.port': { kind: 'int', read: (s) => s.hostPort },
  'http.host.own_port': { kind: 'int', read: (s) => s.ownHostPort },
  'http.path': { kind: 'text', read: (s) => s.path },
  'http.path.segments.len': { kind: 'int', read: (s) => s.segments.length },
  'edge.asn': { kind: 'int', read: (s) => integer(s.edge('asn')) },
};

/** The reader of a field that passed the type check; null for a name no request has. */
export function fieldReader(field: string): FieldReader | null {
  if (Object.hasOwn(READERS, field)) return READERS[field] ?? null;
  if (field.startsWith('http.headers.')) {
    const name = field.slice('http.headers.'.length).toLowerCase();
    const dashed = name.replaceAll('_', '-');
    return { kind: 'texts', read: (s) => s.header(name, dashed), readAll: (s) => s.headerLines(name, dashed) };
  }
  if (field.startsWith('http.queries.')) {
    const name = field.slice('http.queries.'.length);
    const read = (s: Subject) => s.query(name);
    return { kind: 'texts', read, readAll: read };
  }
  if (field.startsWith('http.path.segments.')) {
    if (field.includes('+')) return joinedSegments(field);
    const range = parseSegments(field);
    return range === null || range === 'len' ? null : { kind: 'text', read: (s) => s.segmentRange(range) };
  }
  if (field.startsWith('edge.')) {
    const name = field.slice('edge.'.length);
    return { kind: 'text', read: (s) => text(s.edge(name)) };
  }
  return null;
}

/** Not in the language: several segments at once, for the index. */
function joinedSegments(field: string): FieldReader {
  const places = field.slice('http.path.segments.'.length).split('+').map(Number);
  return {
    kind: 'text',
    read: ({ segments }) => {
      let joined = '';
      for (const [i, place] of places.entries()) {
        const segment = segments[place];
        if (segment === undefined) return null;
        joined += i === 0 ? segment : `/${segment}`;
      }
      return joined;
    },
  };
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function integer(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) ? value : null;
}
