import type { UpstreamBody, UpstreamFailure } from './egress/egress.ts';

/** nginx's non-idempotent methods: never sent a second time once the first may have arrived. */
const NON_IDEMPOTENT = new Set(['POST', 'LOCK', 'PATCH']);

/** Nothing another peer could do better. */
const FINAL = new Set<UpstreamFailure['code']>([
  'unsupported',
  'client_closed',
  'client_timeout',
  'client_too_large',
  'client_left',
  'bad_request',
  'unauthorized',
  'unknown_identity',
]);

/**
 * Whether a failed attempt may be made again, with the same or another peer (`proxy_next_upstream error timeout`): what
 * may have been sent is not repeated for methods that are not idempotent, nor a body that was streamed. An answer that
 * cannot be used is an answer all the same: the request was carried out.
 */
export function mayRetry(failure: UpstreamFailure, method: string, body: UpstreamBody): boolean {
  if (FINAL.has(failure.code) || (failure.code === 'protocol' && failure.sent)) return false;
  if (body.kind === 'incoming') return false;
  return !failure.sent || isIdempotent(method);
}

export function isIdempotent(method: string): boolean {
  return !NON_IDEMPOTENT.has(method);
}

/** Bodies up to this size are kept so that they can be sent again (`request_buffering`). */
export const REPLAYABLE_BODY = 64 << 10;

/** The status Kong answers with when the last attempt failed. */
export function statusOf(failure: UpstreamFailure): 400 | 408 | 413 | 499 | 502 | 503 | 504 {
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
    case 'client_left':
      return 499;
    case 'dns':
      return 503;
    default:
      return 502;
  }
}
