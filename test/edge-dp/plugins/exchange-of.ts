import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import type { Exchange } from '../../../edge-dp/plugins/runtime/exchange.ts';
import { ResponseReply } from '../../../edge-dp/plugins/runtime/reply.ts';
import { ProxyExchange } from '../../../edge-dp/proxy/exchange.ts';
import { exit } from '../../../edge-dp/proxy/outcome.ts';
import { fakeRequest } from './fakes.ts';

/** What came of a request that the gateway answered, and a wait for all that was begun with it. */
export function exchangeOf(
  status: number,
  given: Parameters<typeof fakeRequest>[0] = {},
): { readonly exchange: Exchange; over(): Promise<void> } {
  const work: Promise<unknown>[] = [];
  const request = fakeRequest(given, (promise) => void work.push(promise));
  const response = new OwnResponse(status, '');
  const reply = new ResponseReply(response, 'exit', () => undefined);
  const end = { aborted: false, clientLeft: false };
  return {
    exchange: new ProxyExchange(request, { outcome: exit(response), reply, headAt: Date.now(), end }),
    async over() {
      for (let at = 0; at < work.length; at++) await work[at];
    },
  };
}
