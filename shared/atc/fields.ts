/** What a field holds. Regexes and CIDR blocks are literals only. */
type FieldType = 'String' | 'Int' | 'IpAddr';

/** Fields of stream routes: what a connection has. */
const STREAM_FIELDS: Readonly<Record<string, FieldType>> = {
  'net.protocol': 'String',
  'net.port': 'Int',
  'net.src.ip': 'IpAddr',
  'net.src.port': 'Int',
  'net.dst.ip': 'IpAddr',
  'net.dst.port': 'Int',
  'tls.sni': 'String',
};

/** Fields of HTTP routes. `x.*` stands for one further name. `edge.*` is ours: what the runtime knows of the client. */
const HTTP_FIELDS: Readonly<Record<string, FieldType>> = {
  ...STREAM_FIELDS,
  'http.method': 'String',
  'http.host': 'String',
  'http.path': 'String',
  'http.path.segments.len': 'Int',
  'http.path.segments.*': 'String',
  'http.headers.*': 'String',
  'http.queries.*': 'String',
  'edge.asn': 'Int',
  'edge.as_organization': 'String',
  'edge.city': 'String',
  'edge.colo': 'String',
  'edge.continent': 'String',
  'edge.country': 'String',
  'edge.http_protocol': 'String',
  'edge.postal_code': 'String',
  'edge.region': 'String',
  'edge.region_code': 'String',
  'edge.timezone': 'String',
  'edge.tls_cipher': 'String',
  'edge.tls_version': 'String',
};

/** Which kind of route an expression belongs to: each has fields of its own. */
export type Subsystem = 'http' | 'stream';

/** The type of a field in expressions of HTTP or stream routes; null when there is no such field. */
export function fieldType(name: string, subsystem: Subsystem): FieldType | null {
  const fields = subsystem === 'http' ? HTTP_FIELDS : STREAM_FIELDS;
  if (Object.hasOwn(fields, name)) return fields[name] ?? null;
  const wildcard = `${name.slice(0, name.lastIndexOf('.') + 1)}*`;
  if (name.endsWith('.') || !Object.hasOwn(fields, wildcard)) return null;
  return fields[wildcard] ?? null;
}

/** Fields compared without regard to case: DNS names (RFC 9110 §4.2.3, RFC 6066 §3). Kong compares them as they come. */
export function isCaseless(field: string): boolean {
  return field === 'http.host' || field === 'tls.sni';
}

/** `http.path.segments.<this>`: `len`, one index, or a range `A_B` with A below B. */
export function parseSegments(field: string): SegmentRange | 'len' | null {
  const suffix = field.slice('http.path.segments.'.length);
  if (suffix === 'len') return 'len';
  const match = /^(0|[1-9]\d{0,8})(?:_(0|[1-9]\d{0,8}))?$/.exec(suffix);
  if (!match) return null;
  const from = Number(match[1]);
  const to = match[2] === undefined ? from : Number(match[2]);
  return match[2] !== undefined && from >= to ? null : { from, to };
}

/** Path segments `from` to `to`, both included, counted from 0. */
export interface SegmentRange {
  readonly from: number;
  readonly to: number;
}
