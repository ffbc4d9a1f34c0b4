import { LONGEST_TARGET, type RequestShape } from '../../shared/cluster/replay.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { HeaderFields } from '../http/fields.ts';
import type { RouterRequest } from '../router/request.ts';
import type { Router } from '../router/router.ts';
import { packSampled, type SampledShape } from './sampled-shape.ts';

/** Milliseconds in which an isolate tells as many requests as the sample has room for, at most. */
const WINDOW = 600_000;
/** Milliseconds in which requests are gathered before they are told. */
const COMPANY = 500;
/** Milliseconds after which those who gather are taken for gone: a request may be broken off, and its work with it. */
const LOST = 10_000;
/** Requests told at a time, and headers of one, and characters of a header's value. */
const MOST_TOLD = 200;
const MOST_HEADERS = 40;
const LONGEST_VALUE = 256;
/** Names of headers that routes have asked for which are remembered. */
const MOST_ASKED = 100;

/** Values that protocols are told by. */
const ALWAYS = ['content-type', 'upgrade'];

/** Whose values are never remembered, whoever asks for them. */
const SECRET =
  /auth|cookie|token|secret|passw|credential|session|signature|jwt|csrf|xsrf|otp|(^|[-_])key|apikey|^x-amz-|cert/;

interface Seen {
  readonly router: Router;
  readonly request: RouterRequest;
  /** As received. */
  readonly fields: HeaderFields;
  readonly forwardedProto: string;
  readonly version: string;
  /** The id of its route; null: it matched none. */
  readonly route: string | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Chooses requests for the node's sample, by chance and never more than some each second, and at once the first of each route. Of
 * headers it has names, and the values of those that routes look at.
 */
export class RequestSampler {
  readonly #size: number;
  readonly #named: ReadonlySet<string>;
  readonly #node: Pick<Fetcher, 'fetch'>;
  readonly #asked = new Set<string>();
  /** Routes of which one was told lately. */
  readonly #routes = new Set<string | null>();
  #since = 0;
  #next = 0;
  #waiting: SampledShape[] = [];
  /** When a request last began to gather. */
  #gatheringSince = 0;

  constructor(
    { size, headers }: { readonly size: number; readonly headers: readonly string[] },
    node: Pick<Fetcher, 'fetch'>,
  ) {
    this.#size = size;
    this.#named = new Set([...ALWAYS, ...headers.map((name) => name.toLowerCase())]);
    this.#node = node;
  }

  /** Whether a request is one for the sample. All others cost this and nothing else. */
  wants(route: string | null, now: number): boolean {
    const isFirst = this.#routes.size < this.#size && !this.#routes.has(route);
    if (!isFirst && now < this.#next && now >= this.#since) return false;
    return this.#waiting.length < MOST_TOLD || this.#isLost(now);
  }

  saw(seen: Seen, waitUntil: (work: Promise<unknown>) => void): void {
    const { route, now } = seen;
    if (now - this.#since > WINDOW || now < this.#since) {
      this.#since = now;
      this.#routes.clear();
    }
    this.#routes.add(route);
    // As long on average as it takes to fill the sample within the window.
    this.#next = now + Math.random() * 2 * (WINDOW / this.#size);
    const shape = this.#shapeOf(seen);
    if (shape === null) return;
    this.#waiting.push({ shape, route });
    if (this.#waiting.length > 1 && !this.#isLost(now)) return;
    this.#gatheringSince = now;
    waitUntil(this.#tell());
  }

  #isLost(now: number): boolean {
    return Math.abs(now - this.#gatheringSince) > LOST;
  }

  async #tell(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, COMPANY));
    const told = this.#waiting;
    this.#waiting = [];
    if (told.length === 0) return;
    try {
      const body = JSON.stringify(told.map(packSampled));
      const answer = await this.#node.fetch('http://node/shapes', { method: 'POST', body });
      if (!answer.ok) console.warn(`requests for replay_sample are lost: ${answer.status} ${await answer.text()}`);
      else await answer.body?.cancel();
    } catch (error) {
      console.warn(`requests for replay_sample are lost: ${messageOf(error)}`);
    }
  }

  /** Null: it is too long to be remembered. */
  #shapeOf({ router, request, fields, forwardedProto, version }: Seen): RequestShape | null {
    const { method, host, scheme, sni, path, query } = request;
    if (path.length > LONGEST_TARGET || (scheme !== 'http' && scheme !== 'https')) return null;
    this.#notice(router, request);
    const headers: Record<string, string | null> = {};
    let count = 0;
    for (const [name] of fields) {
      const key = name.toLowerCase();
      if (key === 'host' || Object.hasOwn(headers, key)) continue;
      if (++count > MOST_HEADERS) break;
      headers[key] = this.#isTold(key) ? shortValue(fields.get(key)) : null;
    }
    return {
      method,
      scheme,
      forwardedProto,
      host,
      sni,
      path,
      query: query === '' ? '' : null,
      headers,
      allHeaders: count <= MOST_HEADERS,
      sourceIp: null,
      version,
      count: 1,
    };
  }

  /** Which headers routes ask for. */
  #notice(router: Router, request: RouterRequest): void {
    const note = (name: string): void => {
      if (this.#asked.size < MOST_ASKED) this.#asked.add(name);
    };
    const { method, host, scheme, sni, path, query, sourceIp, sourcePort, destinationIp, destinationPort } = request;
    router.match({
      ...{ method, host, scheme, sni, path, query, sourceIp, sourcePort, destinationIp, destinationPort },
      header(name) {
        note(name);
        return request.header(name);
      },
      wholeHeader(name) {
        note(name);
        return request.wholeHeader?.(name) ?? null;
      },
    });
  }

  #isTold(name: string): boolean {
    return !SECRET.test(name) && (this.#named.has(name) || this.#asked.has(name));
  }
}

function shortValue(value: string | null): string | null {
  return value !== null && value.length <= LONGEST_VALUE ? value : null;
}
