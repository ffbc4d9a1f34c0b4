import { integer, nullable, object, string } from '../../../../shared/bundle/shape.ts';
import {
  type DifferingRequest,
  parseReplayFigures,
  parseShape,
  type ReplayAspect,
  type ReplayFigures,
  type Verdict,
} from '../../../../shared/cluster/replay.ts';
import { isRecord } from '../../../../shared/record.ts';

/** What a request can meet otherwise, with what that means. */
export const ASPECTS: Readonly<Record<ReplayAspect, string>> = {
  route: 'another route, or none',
  service: 'another service, or other settings of it',
  upstream: 'sent elsewhere',
  plugins: 'other plugins, or other settings of them',
  status: 'another answer of the gateway itself',
};

/** What a replay answers, as far as it is shown. */
export interface Replayed {
  readonly figures: ReplayFigures;
  readonly node: { readonly id: string; readonly hostname: string };
  /** Of the config that it was compared with; null: the data plane has none. */
  readonly serial: number | null;
  /** Of what was given, what is no request, and the first of them. */
  readonly skipped: number;
  readonly skippedFirst: string | null;
}

/** Requests that are listed one by one. */
export const MOST = 1_000;

/** Reads the answer of `POST …/replay`. Throws `ShapeError`. */
export function parseReplayed(body: unknown): Replayed {
  const read = object(body, 'answer');
  const node = object(read.data_plane, 'answer.data_plane');
  const served = object(read.compared_with, 'answer.compared_with');
  return {
    figures: parseReplayFigures(read, null, MOST),
    node: {
      id: string(node.id, 'answer.data_plane.id'),
      hostname: string(node.hostname, 'answer.data_plane.hostname'),
    },
    serial: nullable(served.serial, 'answer.compared_with.serial', integer),
    skipped: integer(read.skipped, 'answer.skipped'),
    skippedFirst: nullable(read.skipped_first, 'answer.skipped_first', string),
  };
}

/**
 * Pasted requests as a replay takes them, by what they look like: a list of requests, an object with one, a HAR, or else lines of an
 * access log. What is wrong within is the Admin API's to say. Throws where it is no JSON that begins like it.
 */
export function requestsIn(text: string, host: string, scheme: string): Readonly<Record<string, unknown>> {
  const start = text.trimStart();
  const lines = { access_log: text, ...(host.trim() !== '' && { host: host.trim() }), scheme };
  if (!start.startsWith('[') && !start.startsWith('{')) return lines;
  // Each line of a log in the format json is an object of its own.
  if (start.startsWith('{') && isLogLine(start.split('\n', 1)[0] ?? '')) return lines;
  let read: unknown;
  try {
    read = JSON.parse(start);
  } catch (error) {
    throw new Error(`This begins like JSON and is none: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (Array.isArray(read)) return { requests: read };
  if (isRecord(read) && 'log' in read) return { log: read.log };
  if (isRecord(read) && 'requests' in read) return { requests: read.requests };
  throw new Error('This is neither a list of requests, nor a HAR, nor lines of an access log.');
}

function isLogLine(line: string): boolean {
  try {
    const read: unknown = JSON.parse(line);
    return isRecord(read) && !('log' in read) && !('requests' in read);
  } catch {
    return false;
  }
}

/** `GET http://example.com/orders`. */
export function requestLine(request: DifferingRequest['request']): string {
  const { method, scheme, host, path, query } = parseShape(request, 'request');
  const asked = query === null || query === '' ? '' : `?${query}`;
  return `${method} ${host === null ? '' : `${scheme}://${host}`}${path}${asked}`;
}

/** The headers whose values are known, as `x-version: 2`. */
export function headerLines(request: DifferingRequest['request']): readonly string[] {
  return Object.entries(parseShape(request, 'request').headers)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${value}`);
}

/** What a verdict says of an aspect, in words. */
export function verdictText(verdict: Verdict, aspect: ReplayAspect): string {
  if (aspect === 'plugins') return verdict.plugins.length === 0 ? 'none' : verdict.plugins.join(', ');
  const value = verdict[aspect];
  if (value !== null) return String(value);
  return aspect === 'status' ? 'answered by others' : 'none';
}

/** The requests that meet one of these aspects otherwise (none chosen: any) and have these words in them. */
export function chosen(
  differing: readonly DifferingRequest[],
  wanted: ReadonlySet<ReplayAspect>,
  words: string,
): readonly DifferingRequest[] {
  const all = words.toLowerCase().split(/\s+/).filter(Boolean);
  return differing.filter(({ request, changes, before, after }) => {
    if (wanted.size > 0 && !changes.some((change) => wanted.has(change))) return false;
    if (all.length === 0) return true;
    const said =
      `${requestLine(request)} ${headerLines(request).join(' ')} ${JSON.stringify([before, after])}`.toLowerCase();
    return all.every((word) => said.includes(word));
  });
}
