import { messageOf } from '../../../shared/thrown.ts';
import { PurgeView, parsePurgeNews } from '../../durable/purges.ts';
import { RESPONSES, type ResponseQuestion, STATE_PATH } from '../../durable/state-messages.ts';
import { pack, type StoredResponse, unpack, weightOf } from '../../durable/stored-response.ts';
import type { Responses, Services } from '../runtime/services.ts';
import { ByteCache } from './byte-cache.ts';

/** The isolate's own memory: the part of the node's it may have besides. */
const OWN_PART = 4;
/** Bytes of one response at most. */
const LARGEST = 8 << 20;
/** Milliseconds the keeper has to answer: the upstream is there, too. */
const PATIENCE = 2_000;
/** Milliseconds after which the next answer waits for what was purged: within a box, and across a network. */
const NEWS_NEAR = 250;
const NEWS_FAR = 5_000;
/** Milliseconds between two lines in the log about a keeper that does not answer. */
const COMPLAINT = 60_000;

/** The part of `env.NODE` used here. */
interface Node {
  fetch(
    url: string,
    init: { readonly method: string; readonly body: Uint8Array | string | null; readonly signal: AbortSignal },
  ): Promise<{ readonly status: number; arrayBuffer(): Promise<ArrayBuffer> }>;
}

interface NodeResponsesOptions {
  /** Of the node. */
  readonly maxBytes: number;
  /** The keeper is in the same box: it shares what one isolate has with the others. */
  readonly near: boolean;
  readonly log: Services['log'];
}

/** What the isolate has itself, over what the node's keeper has. */
export class NodeResponses implements Responses {
  readonly largest: number;
  readonly #node: Node | null;
  readonly #options: NodeResponsesOptions;
  readonly #own: ByteCache<StoredResponse>;
  readonly #purges = new PurgeView();
  #epoch: string | null = null;
  #version = 0;
  /** What was purged until then is known; milliseconds since the epoch. */
  #heardAt = 0;
  /** For how long that is enough. */
  #interval: number;
  #complainedAt = 0;

  /** `node`: `env.NODE`; null: this isolate is all there is. */
  constructor(node: Node | null, options: NodeResponsesOptions) {
    this.#node = node;
    this.#options = options;
    this.#interval = options.near ? NEWS_NEAR : NEWS_FAR;
    const alone = node === null || !options.near;
    this.#own = new ByteCache(alone ? options.maxBytes : options.maxBytes / OWN_PART);
    this.largest = Math.min(LARGEST, this.#own.maxBytes / 2);
  }

  find(key: string): StoredResponse | null | Promise<StoredResponse | null> {
    const { near } = this.#options;
    if (this.#node === null) return this.#living(key);
    // A clock that was set back must not put the question off for as long.
    if (Math.abs(Date.now() - this.#heardAt) < this.#interval) {
      const own = this.#living(key);
      return own === null && near ? this.#fetched(key) : own;
    }
    // Each request by itself: what another one waits for ends when that one does.
    return this.#hear().then(() => this.#living(key) ?? (near ? this.#fetched(key) : null));
  }

  /** What is void, once what was purged by now is known. */
  purges(): PurgeView | Promise<PurgeView> {
    if (this.#node === null || Math.abs(Date.now() - this.#heardAt) < this.#interval) return this.#purges;
    return this.#hear().then(() => this.#purges);
  }

  async keep(response: StoredResponse): Promise<void> {
    this.#take(response);
    if (this.#options.near) await this.#send('PUT', '', pack(response), () => null);
  }

  async invalidate(target: string): Promise<void> {
    this.#purges.add({ of: 'target', name: target, at: Date.now() });
    await this.#ask({ does: 'invalidate', target }, () => null);
  }

  #living(key: string): StoredResponse | null {
    const own = this.#own.get(key);
    if (own === undefined) return null;
    if (!this.#purges.voids(own)) return own;
    this.#own.delete(key);
    return null;
  }

  #take(response: StoredResponse): void {
    const ttl = (response.until - Date.now()) / 1000;
    if (ttl > 0) this.#own.set(response.key, response, ttl, weightOf(response));
  }

  async #fetched(key: string): Promise<StoredResponse | null> {
    const response = await this.#send('GET', `?key=${encodeURIComponent(key)}`, null, unpack);
    if (response === null || this.#purges.voids(response)) return null;
    this.#take(response);
    return response;
  }

  /** What was purged since it was asked last. */
  async #hear(): Promise<void> {
    const askedAt = Date.now();
    const news = await this.#ask({ does: 'news', epoch: this.#epoch, since: this.#version }, parsePurgeNews);
    this.#heardAt = news === null ? Date.now() : askedAt;
    this.#interval = news === null ? PATIENCE : this.#options.near ? NEWS_NEAR : NEWS_FAR;
    if (news === null) return;
    const { epoch, version, purges } = news;
    for (const purge of purges) this.#purges.add(purge);
    if (this.#options.near && this.#epoch !== null && this.#epoch !== epoch) {
      // The keeper was started anew: what was written to or purged since it was asked last, or while it was away, nobody knows.
      this.#purges.add({ of: 'all', name: '', at: askedAt });
      this.#own.clear();
    }
    this.#epoch = epoch;
    this.#version = version;
  }

  #ask<T>(question: ResponseQuestion, read: (answer: unknown) => T): Promise<T | null> {
    return this.#send('POST', '', JSON.stringify(question), (bytes) =>
      read(JSON.parse(new TextDecoder().decode(bytes))),
    );
  }

  /** Null: there is none, or nobody answered as it must be, which is told to the log. */
  async #send<T>(
    method: string,
    query: string,
    body: Uint8Array | string | null,
    read: (answer: Uint8Array) => T,
  ): Promise<T | null> {
    if (this.#node === null) return null;
    try {
      const signal = AbortSignal.timeout(PATIENCE);
      const response = await this.#node.fetch(`http://node${STATE_PATH}${RESPONSES}${query}`, { method, body, signal });
      const answer = await response.arrayBuffer();
      if (response.status === 200) return read(new Uint8Array(answer));
      if (response.status === 204 || response.status === 404) return null;
      throw new Error(`${response.status} ${new TextDecoder().decode(answer)}`);
    } catch (error) {
      const now = Date.now();
      if (now - this.#complainedAt > COMPLAINT) {
        this.#complainedAt = now;
        const what = 'the node’s memory of responses does not answer, each process goes on with its own';
        this.#options.log('warn', `${what}: ${messageOf(error)}`);
      }
      return null;
    }
  }
}
