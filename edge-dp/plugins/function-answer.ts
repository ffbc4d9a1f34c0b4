import type { HttpResponse } from '../http/messages.ts';
import { withCharset } from './own-charset.ts';

/** About the connection to whoever answered, not about the one to the client. */
const OF_CONNECTION = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'] as const;

/** A function's answer as the gateway's own, which it is in Kong; `via`: what the gateway says of itself. */
export function functionAnswer<T extends HttpResponse>(response: T, via: string | null): T {
  const { headers } = response;
  for (const name of OF_CONNECTION) headers.delete(name);
  const type = headers.get('content-type');
  if (type !== null) headers.set('Content-Type', withCharset(type));
  if (via !== null) {
    const before = headers.get('via');
    headers.set('Via', before === null ? via : `${before}, ${via}`);
  }
  return response;
}
