import type { Duplex } from 'node:stream';
import { type Content, type EndListener, type HttpResponse, letGo } from '../../../http/messages.ts';
import { ArrivingBody } from './arriving-body.ts';
import type { WireFields } from './wire-fields.ts';

/** An upstream's answer. */
export class UpstreamResponse implements HttpResponse {
  status: number;
  readonly headers: WireFields;
  /** The connection, after a 101. */
  readonly tunnel: Duplex | null;
  readonly listeners: EndListener[] = [];
  readonly #head: { readonly status: number; readonly reason: string | undefined };
  readonly #abandon: () => void;
  #content: Content;

  /** `abandon`: lets go of the exchange upstream. */
  constructor(
    head: { readonly status: number; readonly reason: string | undefined; readonly headers: WireFields },
    parts: { readonly body: ArrivingBody | null; readonly tunnel?: Duplex; readonly abandon: () => void },
  ) {
    this.status = head.status;
    this.#head = head;
    this.headers = head.headers;
    this.tunnel = parts.tunnel ?? null;
    this.#content = parts.body;
    this.#abandon = parts.abandon;
  }

  /** The upstream's words for its status. Undefined: the usual ones of the status, as where a plugin has set another. */
  get reason(): string | undefined {
    return this.status === this.#head.status ? this.#head.reason : undefined;
  }

  get content(): Content {
    return this.#content;
  }

  set content(content: Content) {
    // What reads the old body to make the new one of it has taken it.
    const old = this.#content;
    if (old instanceof ArrivingBody) {
      if (old.untaken && old !== content) old.cancel();
    } else letGo(old);
    this.#content = content;
  }

  onEnd(listener: EndListener): void {
    this.listeners.push(listener);
  }

  discard(): void {
    this.#abandon();
    this.tunnel?.destroy();
    for (const ended of this.listeners.splice(0)) ended({ aborted: true, clientLeft: false });
  }
}
