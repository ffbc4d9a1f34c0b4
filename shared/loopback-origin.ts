import { isLoopback } from './browser-guard.ts';

/** Whether it is `http://` at an address of the machine this runs on: what never leaves it may go without TLS. */
export function isLoopbackOrigin(origin: string | undefined): boolean {
  const url = origin === undefined ? null : URL.parse(origin);
  return url !== null && url.protocol === 'http:' && isLoopback(url.hostname.replace(/^\[|\]$/g, ''));
}
