import type { UpstreamBody, UpstreamFailure } from './egress/egress.ts';

/** nginx's non-idempotent methods: never sent a second time once the first may have arrived. */
const NON_IDEMPOTENT = new Set(['POST', 'LOCK', 'PATCH']);

/** Nothing another peer could do better. */
const FINAL = new Set<UpstreamFailure['code']>([
  'unsupported',
  'client_closed',
  'client_timeout',
  'client_too_large',
  'bad_request',
  'unauthorized',
  'unknown_identity',
]);

/**
 * Whether a failed attempt may be made again, with the same or another peer (`proxy_next_upstream error timeout`): what
 * may have been sent is not repeated for methods that are not idempotent, nor a body that was streamed.
 */
export function mayRetry(failure: UpstreamFailure, method: string, body: UpstreamBody): boolean {
  if (FINAL.has(failure.code)) return false;
  if (body.kind === 'incoming') return false;
  return !failure.sent || isIdempotent(method);
}

export function isIdempotent(method: string): boolean {
  return !NON_IDEMPOTENT.has(method);
}

/**
 * One attempt beyond `retries` where a pooled connection may have been closed by the upstream while idle: nginx does not
 * count that as a try either.
 */
export function mayBeStale(failure: UpstreamFailure, attempt: number): boolean {
  return attempt === 0 && failure.code === 'closed';
}

/** Bodies up to this size are kept so that they can be sent again (`request_buffering`). */
export const REPLAYABLE_BODY = 64 << 10;

/** The status Kong answers with when the last attempt failed. */
export function statusOf(failure: UpstreamFailure): 400 | 408 | 413 | 502 | 503 | 504 {
  switch (failure.code) {
    case 'connect_timeout':
    case 'read_timeout':
    case 'write_timeout':
      return 504;
    case 'client_closed':
      return 400;
    case 'client_timeout':
      return 408;
    case 'client_too_large':
      return 413;
    case 'dns':
      return 503;
    default:
      return 502;
  }
}
