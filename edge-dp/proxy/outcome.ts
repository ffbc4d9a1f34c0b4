import type { HttpResponse } from '../http/messages.ts';
import type { ReplySource } from '../plugins/runtime/reply.ts';
import type { UpstreamTimes } from './response-headers.ts';

/** What a request came to: an answer of the upstream, or one of the gateway. */
export type Outcome =
  | {
      readonly source: 'kong';
      readonly response: HttpResponse;
      /** Given on purpose, or because something failed. */
      readonly kind: Exclude<ReplySource, 'service'>;
      /** Milliseconds others were waited for, which are no latency of the gateway. */
      readonly waited: number;
      /** Set where the upstream was tried in vain: like Kong's, such an answer is marked as a proxied one. */
      readonly times: UpstreamTimes | null;
    }
  | {
      readonly source: 'upstream';
      readonly response: HttpResponse;
      readonly times: UpstreamTimes;
      readonly version: '1.1' | '2';
      readonly websocket: boolean;
      /** Its Via, as it came. */
      readonly via: string | null;
    };

/** An answer the gateway, or a plugin, gives on purpose. */
export function exit(response: HttpResponse, waited = 0): Outcome {
  return { source: 'kong', response, kind: 'exit', waited, times: null };
}

/** An answer the gateway gives because something failed; `times` when that was the upstream. */
export function failed(response: HttpResponse, times: UpstreamTimes | null = null): Outcome {
  return { source: 'kong', response, kind: 'error', waited: 0, times };
}

/** A plugin's answer that counts as the upstream's. */
export function served(response: HttpResponse, waited: number): Outcome {
  const headAt = Date.now();
  const times = { sentAt: headAt - waited, headAt, status: response.status };
  return { source: 'upstream', response, times, version: '1.1', websocket: false, via: response.headers.get('via') };
}
