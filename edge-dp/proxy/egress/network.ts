import { messageOf } from '../../../shared/thrown.ts';
import { carrierOf, nativeHeaders } from '../../http/fetch/request.ts';
import { AS_IT_IS, FetchResponse } from '../../http/fetch/response.ts';
import { ReadTimeout } from '../../http/read-timeout.ts';
import { isIdempotent } from '../retry.ts';
import { Deadline } from './deadline.ts';
import {
  bracketed,
  clientFailure,
  type EgressWay,
  failed,
  failedUnproven,
  isCarried,
  isNamedByAddress,
  type UpstreamFailure,
  type UpstreamRequest,
  type UpstreamResult,
  unusable,
} from './egress.ts';
import { finalResponse } from './interim.ts';
import { upload } from './upload.ts';

/** The part of the `NETWORK` binding used here. */
export type Network = Pick<Fetcher, 'fetch' | 'connect'>;

/**
 * The runtime's own fetch: fastest, pooled, and unable to say anything but what is in the URL. Where the host has no egress
 * process (`alone`) it stands in for services that do not ask for verification (it then verifies all the same), and for
 * WebSockets whose end somebody waits for (it then tells of none).
 */
export function networkEgress(network: Network, { alone }: { readonly alone: boolean }): EgressWay {
  const suspects = new Suspects();
  return {
    name: 'network',
    cannot(request) {
      if (request.version === '2') return 'no HTTP/2 to upstreams';
      if (request.proxy !== undefined) return 'no HTTP proxies';
      if (request.websocket && request.followed === true && !alone) return 'no end of a WebSocket';
      if (!isCarried(request)) return `no ${request.method} with such a body`;
      if (request.authority.toLowerCase() !== urlAuthority(request)) return 'no Host other than the address';
      if (!survivesUrl(request.target)) return 'no request target that the URL standard would rewrite';
      if (request.scheme === 'http') return null;
      if (!isNamedByAddress(request)) return 'no server name other than the address';
      if (request.tls.certificate !== null) return 'no client certificates for upstreams';
      if (request.tls.verify !== true) return alone ? null : 'no TLS without verification';
      if (request.tls.trust === 'node') return 'no CAs of the node';
      if (request.tls.ca.length > 0) return 'no private CAs for upstreams';
      if (request.tls.verifyDepth !== null) return 'no tls_verify_depth';
      return null;
    },
    send(request) {
      const attempt = new Attempt(network, request, suspects);
      if (isIdempotent(request.method) || !suspects.has(request)) return attempt.result();
      const { host, port, timeouts } = request;
      return reachable(network, host, port, timeouts.connect).then((there) =>
        there ? attempt.result() : failed('connection_refused', false, `no connection to ${host}:${port}`),
      );
    },
  };
}

/**
 * Addresses whose last connection was lost. Fetch does not tell a refused connection from one that died after the request
 * was sent, so what may not be sent twice is only sent to these once they can be connected to: if not, another target may
 * have it.
 */
class Suspects {
  readonly #addresses = new Set<string>();

  has({ host, port }: UpstreamRequest): boolean {
    return this.#addresses.size > 0 && this.#addresses.has(`${host}:${port}`);
  }

  learn({ host, port }: UpstreamRequest, result: UpstreamResult): void {
    if (result.kind === 'response') {
      if (this.#addresses.size > 0) this.#addresses.delete(`${host}:${port}`);
    } else if (result.failure.code === 'closed' || result.failure.code === 'connect_timeout') {
      if (this.#addresses.size >= MAX_SUSPECTS) this.#addresses.clear();
      this.#addresses.add(`${host}:${port}`);
    }
  }
}

const MAX_SUSPECTS = 1000;

/**
 * One fetch, with the service's timeouts up to the response's head. Fetch has no connect timeout of its own and does not
 * say when it is connected: when no answer came within `connect_timeout`, a second connection tells a dead address from
 * a slow upstream.
 */
class Attempt {
  readonly #network: Network;
  readonly #request: UpstreamRequest;
  readonly #suspects: Suspects;
  #resolve: (result: UpstreamResult) => void = () => undefined;
  /** The runtime moves the client's body by itself: how that went is not told. */
  #unfollowed = false;
  /**
   * For requests with a client's body only, which must not look complete when it breaks off. Others are left alone when
   * their time is up: they end with the client's request, and a signal for each costs 3 % of its processor time.
   */
  #abort: AbortController | null = null;
  readonly #deadline: Deadline;
  #over = false;

  constructor(network: Network, request: UpstreamRequest, suspects: Suspects) {
    this.#network = network;
    this.#request = request;
    this.#suspects = suspects;
    const left = (): void => this.#expire('client_left', 'the client has left');
    this.#deadline = new Deadline(request.hasLeft, left, request.waitUntil);
  }

  /** Sends it. The clock starts with this call, or with the last byte of the client's body. */
  result(): Promise<UpstreamResult> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      try {
        this.#fetch().then(
          (response) => this.#answered(response),
          (error: unknown) => this.#failed(error),
        );
      } catch (error) {
        this.#failed(error);
      }
    });
  }

  #fetch(): Promise<Response> {
    const { scheme, authority, target, method, body, websocket } = this.#request;
    const headers = nativeHeaders(this.#request.headers);
    const url = `${scheme}://${authority}${target}`;
    if (websocket) headers.set('upgrade', 'websocket');
    if (body.kind !== 'incoming') {
      this.#awaitConnection();
      const content = body.kind === 'none' ? null : body.bytes;
      return this.#network.fetch(url, { ...AS_IT_IS, method, headers, body: content });
    }
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    if (method !== 'GET' && method !== 'HEAD')
      return this.#network.fetch(url, { ...AS_IT_IS, method, headers, signal, body: this.#upload(body) });
    // Only a request that is copied from another may have a body with these methods.
    this.#unfollowed = true;
    this.#awaitConnection();
    const carrier = new Request(url, carrierOf(body.source) ?? undefined);
    return this.#network.fetch(new Request(carrier, { headers, signal }), AS_IT_IS);
  }

  #answered(response: Response): void {
    if (this.#over) return void response.body?.cancel().catch(() => undefined);
    this.#end();
    const reason = unusable(response);
    if (reason === null) this.#settle({ kind: 'response', response: new FetchResponse(response) });
    else void this.#refused(response, reason);
  }

  async #refused(response: Response, reason: string): Promise<void> {
    const { method, timeouts } = this.#request;
    try {
      const final = await finalResponse(response, method, timeouts.read);
      if (final !== null) return this.#settle({ kind: 'response', response: final });
    } catch (error) {
      const code = error instanceof ReadTimeout ? 'read_timeout' : 'protocol';
      return this.#settle(failed(code, true, `${reason}, then: ${messageOf(error)}`));
    }
    void response.body?.cancel().catch(() => undefined);
    this.#settle(failed('protocol', true, reason));
  }

  #failed(error: unknown): void {
    if (this.#over) return;
    this.#end();
    void explain(this.#network, this.#request, error).then((result) => {
      const lost = result.kind === 'failure' && result.failure.code === 'closed';
      this.#settle(lost && this.#unfollowed ? failedUnproven('closed', result.failure.message) : result);
    });
  }

  #settle(result: UpstreamResult): void {
    this.#suspects.learn(this.#request, result);
    this.#resolve(result);
  }

  #expire(code: UpstreamFailure['code'], message: string): void {
    const waiting = this.#unfollowed && code === 'read_timeout';
    if (!this.#over) this.#settle(waiting ? failedUnproven(code, message) : failed(code, true, message));
    this.#end();
    this.#abort?.abort();
  }

  #end(): void {
    this.#over = true;
    this.#deadline.clear();
  }

  #awaitConnection(): void {
    const { connect, read } = this.#request.timeouts;
    if (connect >= read) {
      this.#awaitHead(read);
      return;
    }
    this.#deadline.set(connect, () => {
      void this.#probe().then((reachable) => {
        if (this.#over) return;
        if (reachable) this.#awaitHead(read - connect);
        else this.#expire('connect_timeout', `no connection within ${connect} ms`);
      });
    });
  }

  #awaitHead(left: number): void {
    const { read } = this.#request.timeouts;
    this.#deadline.set(left, () => this.#expire('read_timeout', `no response within ${read} ms`));
  }

  async #probe(): Promise<boolean> {
    const { host, port, timeouts } = this.#request;
    return reachable(this.#network, host, port, timeouts.connect);
  }

  /** With `write_timeout` on each part, then `read_timeout`. */
  #upload(body: Extract<UpstreamRequest['body'], { kind: 'incoming' }>): ReadableStream<Uint8Array> {
    const { write, read } = this.#request.timeouts;
    return upload(body, {
      writing: () => {
        if (this.#over) return;
        this.#deadline.set(write, () => this.#expire('write_timeout', `the upstream took no data for ${write} ms`));
      },
      written: () => this.#deadline.clear(),
      sent: () => {
        if (!this.#over) this.#awaitHead(read);
      },
      broken: (error) => this.#expire(clientFailure(error), messageOf(error)),
    });
  }
}

/** Whether a TCP connection to the address, with `on` a TLS one, can be made within `timeout` milliseconds. */
export async function reachable(
  network: Network,
  host: string,
  port: number,
  timeout: number,
  secureTransport: 'on' | 'off' = 'off',
): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  try {
    const socket = network.connect(`${bracketed(host)}:${port}`, { secureTransport, allowHalfOpen: false });
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('timeout')), timeout);
    });
    socket.closed.catch(() => undefined);
    try {
      await Promise.race([socket.opened, late]);
      return true;
    } finally {
      void socket.close().catch(() => undefined);
    }
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** The URL's own form of the address: the only Host fetch sends. */
function urlAuthority({ scheme, host, port }: UpstreamRequest): string {
  const standard = scheme === 'https' ? 443 : 80;
  const name = bracketed(host).toLowerCase();
  return port === standard ? name : `${name}:${port}`;
}

/**
 * Whether the URL parser (WHATWG) leaves a target as it is: it percent-encodes some characters, other ones in the path than in
 * the query, turns `\` into `/`, and resolves dot segments.
 */
function survivesUrl(target: string): boolean {
  const question = target.indexOf('?');
  if (question < 0) return !REWRITTEN_PATH.test(target);
  return !REWRITTEN_PATH.test(target.slice(0, question)) && !REWRITTEN_QUERY.test(target.slice(question));
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what the URL parser removes.
const REWRITTEN_PATH = /[\x00-\x20"<>\\^`{}\x7f-\uffff#]|\/(?:\.|%2e){1,2}(?:\/|$)/i;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
const REWRITTEN_QUERY = /[\x00-\x20"'<>\x7f-\uffff#]/;

/**
 * What a failed fetch means. The runtime says `Network connection lost` (and `retryable`) for refused, reset and closed
 * connections, and `internal error` for names that do not resolve, TLS failures and answers that are not HTTP.
 */
async function explain(network: Network, request: UpstreamRequest, error: unknown): Promise<UpstreamResult> {
  const message = messageOf(error);
  if (typeof error === 'object' && error !== null && 'retryable' in error && error.retryable === true)
    return failed('closed', true, message);
  const named = /[a-z]/i.test(request.host) && !request.host.includes(':');
  if (named && !(await reachable(network, request.host, request.port, request.timeouts.connect)))
    return failed('dns', false, `${request.host} does not resolve`);
  const { host, port, scheme, timeouts } = request;
  const handshake = scheme === 'http' || (await reachable(network, host, port, timeouts.connect, 'on'));
  return failed(handshake ? 'protocol' : 'tls', true, message);
}
