import type { BodySource } from '../../../http/messages.ts';
import { isImpostor } from '../../../proxy/impostor.ts';
import type { RawHeaders } from '../../egress/headers.ts';
import { ClientBody } from '../http/client-body.ts';

/** What must not be said behind a body (RFC 9110 section 6.5.1): who reads trailers as fields would take it for the request's own. */
const NO_TRAILERS: ReadonlySet<string> = new Set([
  ...[
    'authorization',
    'cache-control',
    'connection',
    'content-encoding',
    'content-length',
    'content-range',
    'content-type',
  ],
  ...['cookie', 'expect', 'forwarded', 'host', 'keep-alive', 'max-forwards', 'proxy', 'proxy-authorization'],
  ...['proxy-connection', 'range', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'via'],
]);

/**
 * What a client says behind its body, once that has ended; null: it can say nothing. Left out is what the request's own fields (`head`),
 * or the gateway, say already.
 */
export function trailersOf(source: BodySource, head: RawHeaders): (() => RawHeaders) | null {
  if (!(source instanceof ClientBody)) return null;
  return () => {
    const { trailers } = source;
    if (trailers.length === 0) return trailers;
    const said = new Set(head.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase()));
    const kept: string[] = [];
    for (let at = 0; at + 1 < trailers.length; at += 2) {
      const name = (trailers[at] ?? '').toLowerCase();
      if (!said.has(name) && mayFollow(name)) kept.push(trailers[at] ?? '', trailers[at + 1] ?? '');
    }
    return kept;
  };
}

/** The `Trailer` field of a body in chunks; null: its client has announced nothing that is passed on. */
export function announcementOf({ announced }: ClientBody): string | null {
  if (announced === null) return null;
  const names = announced.split(',').map((name) => name.trim());
  return names.filter((name) => name !== '' && mayFollow(name.toLowerCase())).join(', ') || null;
}

/** `name`: in lower case. */
function mayFollow(name: string): boolean {
  return !NO_TRAILERS.has(name) && !VOUCHED_FOR.test(name) && !isImpostor(name, false);
}

/** Words of the gateway and its plugins. */
const VOUCHED_FOR = /^x-(?:consumer|credential|authenticated|forwarded|kong|real-ip|anonymous-consumer)/;
