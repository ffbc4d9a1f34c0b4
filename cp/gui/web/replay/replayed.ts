import { isRecord } from '../../../../shared/record.ts';

/** What a request can meet otherwise, with what that means. */
export const ASPECTS = {
  route: 'another route, or none',
  service: 'another service, or other settings of it',
  upstream: 'sent elsewhere',
  plugins: 'other plugins, or other settings of them',
  status: 'another answer of the gateway itself',
} as const;
export type Aspect = keyof typeof ASPECTS;

export const aspects = Object.keys(ASPECTS).filter((name): name is Aspect => Object.hasOwn(ASPECTS, name));

/** What a request meets with one config. */
export interface Verdict {
  readonly route: string | null;
  readonly service: string | null;
  readonly upstream: string | null;
  readonly plugins: readonly string[];
  readonly status: number | null;
}

export interface DifferingRequest {
  readonly request: {
    readonly method?: string;
    readonly scheme?: string;
    readonly host?: string | null;
    readonly path: string;
    readonly query?: string | null;
    readonly headers?: Readonly<Record<string, unknown>>;
    readonly count?: number;
  };
  readonly changes: readonly string[];
  readonly before: Verdict;
  readonly after: Verdict;
}

/** What a replay answers, as far as it is shown. */
export interface Replayed {
  readonly data_plane: { readonly id: string; readonly hostname: string };
  readonly compared_with: { readonly serial: number | null };
  readonly requests: number;
  readonly changed: number;
  readonly changes: Readonly<Record<Aspect, number>>;
  readonly unsure: number;
  readonly skipped: number;
  readonly skipped_first: string | null;
  readonly differing: readonly DifferingRequest[];
}

/** Requests that are listed one by one. */
export const MOST = 1_000;

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
export function requestLine({ method, scheme, host, path, query }: DifferingRequest['request']): string {
  const asked = query == null || query === '' ? '' : `?${query}`;
  return `${method ?? 'GET'} ${host == null ? '' : `${scheme ?? 'http'}://${host}`}${path}${asked}`;
}

/** The headers whose values are known, as `x-version: 2`. */
export function headerLines({ headers = {} }: DifferingRequest['request']): readonly string[] {
  return Object.entries(headers)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? value.join(', ') : String(value)}`);
}

/** What a verdict says of an aspect, in words. */
export function verdictText(verdict: Verdict, aspect: Aspect): string {
  if (aspect === 'plugins') return verdict.plugins.length === 0 ? 'none' : verdict.plugins.join(', ');
  const value = verdict[aspect];
  if (value !== null) return String(value);
  return aspect === 'status' ? 'answered by others' : 'none';
}

/** The requests that meet one of these aspects otherwise (none chosen: any) and have these words in them. */
export function chosen(
  differing: readonly DifferingRequest[],
  wanted: ReadonlySet<Aspect>,
  words: string,
): readonly DifferingRequest[] {
  const all = words.toLowerCase().split(/\s+/).filter(Boolean);
  return differing.filter(({ request, changes, before, after }) => {
    if (wanted.size > 0 && !changes.some((change) => aspects.some((one) => one === change && wanted.has(one))))
      return false;
    if (all.length === 0) return true;
    const said =
      `${requestLine(request)} ${headerLines(request).join(' ')} ${JSON.stringify([before, after])}`.toLowerCase();
    return all.every((word) => said.includes(word));
  });
}
