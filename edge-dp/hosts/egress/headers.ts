import { EGRESS_ERROR, EGRESS_LENGTH, EGRESS_TARGET, EGRESS_TOKEN } from '../../proxy/egress/protocol.ts';

/** Names and values in turn, as on the wire. */
export type RawHeaders = readonly string[];

/** RFC 9110 section 7.6.1, and what the HTTP libraries write themselves. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
]);

/** Ours, between the Worker and this process: must neither leak upstream nor come from there. */
const PRIVATE = new Set([EGRESS_TARGET, EGRESS_ERROR, EGRESS_LENGTH, EGRESS_TOKEN]);

/** A request's headers as the upstream gets them, without Host (it is the target's) and Expect (a 100 means nothing here). */
export function requestHeaders(raw: RawHeaders): string[] {
  return keep(raw, (name) => name !== 'host' && name !== 'expect');
}

/** A response's headers as the Worker gets them. */
export function responseHeaders(raw: RawHeaders): string[] {
  return keep(raw, () => true);
}

/** Lines as the fields of HTTP/2: by names in lower case, each with all of its values. A name may be one that every object has. */
export function fieldLists(raw: RawHeaders): Record<string, string[]> {
  const fields = new Map<string, string[]>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]?.toLowerCase() ?? '';
    const value = raw[at + 1] ?? '';
    const before = fields.get(name);
    if (before === undefined) fields.set(name, [value]);
    else before.push(value);
  }
  return Object.fromEntries(fields);
}

/** The value of the first header of that (lower-case) name. */
export function headerOf(raw: RawHeaders, name: string): string | undefined {
  for (let at = 0; at < raw.length; at += 2) if (raw[at]?.toLowerCase() === name) return raw[at + 1];
  return undefined;
}

function keep(raw: RawHeaders, wanted: (name: string) => boolean): string[] {
  const named = namedByConnection(raw);
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || PRIVATE.has(lower) || named.has(lower) || !wanted(lower)) continue;
    kept.push(name, raw[at + 1] ?? '');
  }
  return kept;
}

/** Headers that `Connection` declares to be of this connection only. */
function namedByConnection(raw: RawHeaders): ReadonlySet<string> {
  const names = new Set<string>();
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]?.toLowerCase() !== 'connection') continue;
    for (const name of raw[at + 1]?.split(',') ?? []) names.add(name.trim().toLowerCase());
  }
  return names;
}
