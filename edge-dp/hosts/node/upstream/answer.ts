import type { Duplex } from 'node:stream';
import { messageOf } from '../../../../shared/thrown.ts';
import { clientFailure, failed, type UpstreamRequest, type UpstreamResult } from '../../../proxy/egress/egress.ts';
import type { AnswerSink } from '../../egress/call.ts';
import { EgressError } from '../../egress/failure.ts';
import { headerOf, type RawHeaders, responseHeaders } from '../../egress/headers.ts';
import { trailerFrame } from '../../egress/trailer-frame.ts';
import { ArrivingBody } from '../http/arriving-body.ts';
import { UpstreamResponse } from '../http/upstream-response.ts';
import { WireFields } from '../http/wire-fields.ts';
import type { Upload } from './upload.ts';

/** Takes one answer of an upstream: a result once there is a head, its body as it comes. */
export class Answer implements AnswerSink {
  readonly result: Promise<UpstreamResult>;
  readonly #upload: Upload | null;
  readonly #client: UpstreamRequest['client'];
  readonly #headOnly: boolean;
  readonly #version: UpstreamRequest['version'];
  /** Trailers go into the body, as its last frame. */
  readonly #framesTrailers: boolean;
  #settle: ((result: UpstreamResult) => void) | null = null;
  #body: ArrivingBody | null = null;
  #abandon: (() => void) | null = null;
  #abandoned = false;

  constructor({ method, version, client, trailers }: UpstreamRequest, upload: Upload | null) {
    this.#upload = upload;
    this.#client = client;
    this.#headOnly = method === 'HEAD';
    this.#version = version;
    this.#framesTrailers = trailers === 'grpc-web' && !this.#headOnly;
    this.result = new Promise((resolve) => {
      this.#settle = resolve;
    });
    client?.onClientLeft(() => this.#clientLeft());
    upload?.once('close', () => {
      if (upload.broken !== null) this.#uploadBroke(upload.broken);
    });
  }

  inform(status: number, headers: RawHeaders): void {
    if (!headers.some(isUnwritable)) this.#client?.inform?.(status, responseHeaders(headers));
  }

  begin(status: number, reason: string | undefined, headers: string[]): void {
    if (status < 200) throw new EgressError('protocol', true, `the upstream answered with status ${status}`);
    // Node would not write it to the client.
    const unwritable = headers.findIndex(isUnwritable);
    if (unwritable >= 0) {
      throw new EgressError('protocol', true, `the upstream's ${headers[unwritable - 1]} has control characters`);
    }
    const bare = this.#headOnly || status === 204 || status === 304;
    const mayHaveTrailers = this.#version === '2' || headerOf(headers, 'transfer-encoding') !== undefined;
    this.#body = new ArrivingBody(() => this.abandon(), { mayHaveTrailers });
    const head = { status, reason, headers: new WireFields(headers) };
    const parts = { body: bare ? null : this.#body, abandon: () => this.abandon() };
    this.#resolve({ kind: 'response', response: new UpstreamResponse(head, parts) });
  }

  data(part: Buffer, done?: () => void): boolean {
    return this.#headOnly || this.#body === null || this.#body.push(part, done);
  }

  onDrain(listener: () => void): void {
    this.#body?.onRoom(listener);
  }

  /** All of the body has been passed on: trailers that cannot be written are left out. */
  end(given: RawHeaders): void {
    this.#abandon = null;
    // A name and the value behind it go together.
    const trailers = given.some(isUnwritable) ? given.filter((_, at) => !isUnwritable(given[at | 1] ?? '')) : given;
    if (!this.#framesTrailers) {
      this.#body?.finish(trailers);
      return;
    }
    this.#body?.push(trailerFrame(trailers));
    this.#body?.finish([]);
  }

  fail(error: EgressError): void {
    this.#abandon = null;
    if (this.#body !== null) {
      this.#body.fail(error);
      return;
    }
    const { broken = null } = this.#upload ?? {};
    if (broken === null) this.#resolve({ kind: 'failure', failure: error.failure });
    else this.#uploadBroke(broken);
  }

  onAbandoned(abandon: () => void): void {
    this.#abandon = abandon;
    if (this.#abandoned) abandon();
  }

  /** The upstream agreed to another protocol. */
  upgraded(tunnel: Duplex, headers: RawHeaders): void {
    this.#abandon = null;
    tunnel.on('error', () => undefined);
    const head = { status: 101, reason: undefined, headers: new WireFields([...headers]) };
    const response = new UpstreamResponse(head, { body: null, tunnel, abandon: () => undefined });
    if (this.#abandoned) response.discard();
    else this.#resolve({ kind: 'response', response });
  }

  /** Nobody wants any more of it. */
  abandon(): void {
    this.#abandoned = true;
    const abandon = this.#abandon;
    this.#abandon = null;
    abandon?.();
  }

  #clientLeft(): void {
    this.abandon();
    this.#resolve(failed('client_left', true, 'the client has left'));
  }

  #uploadBroke(error: Error): void {
    this.#resolve(failed(clientFailure(error), true, messageOf(error)));
    this.abandon();
  }

  #resolve(result: UpstreamResult): void {
    const settle = this.#settle;
    this.#settle = null;
    settle?.(result);
  }
}

/** Control characters but for the tab. */
function isUnwritable(line: string): boolean {
  for (let at = 0; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true;
  }
  return false;
}
