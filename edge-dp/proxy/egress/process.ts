import { messageOf } from '../../../shared/thrown.ts';
import { carrierOf, nativeHeaders } from '../../http/fetch/request.ts';
import { AS_IT_IS, FetchResponse, writablePhrase } from '../../http/fetch/response.ts';
import { ReadTimeout } from '../../http/read-timeout.ts';
import { Deadline } from './deadline.ts';
import {
  clientFailure,
  type EgressWay,
  failed,
  failedUnproven,
  isCarried,
  serverNameOf,
  type UpstreamRequest,
  type UpstreamResult,
  unusable,
} from './egress.ts';
import {
  decodeFailure,
  EGRESS_ERROR,
  EGRESS_LENGTH,
  EGRESS_ORIGIN,
  EGRESS_TARGET,
  type EgressTarget,
  encodeHeader,
} from './protocol.ts';
import { TlsIdentities } from './tls-identities.ts';
import { upload } from './upload.ts';

/** The host's egress process: can say everything, at the price of one more hop on the same machine. */
export function processEgress(egress: Pick<Fetcher, 'fetch'>): EgressWay {
  const identities = new TlsIdentities(egress);
  return {
    name: 'process',
    cannot: (request) =>
      request.scheme === 'https' && request.tls.certificate?.key === '' ? 'a client certificate without key' : null,
    async send(request) {
      const client = new ClientBody();
      try {
        const sent = attempt(egress, identities, request, client);
        return request.hasLeft === undefined ? await sent : await unlessLeft(sent, request.hasLeft, request.waitUntil);
      } catch (error) {
        if (client.broken !== null) return failed(clientFailure(client.broken), true, messageOf(client.broken));
        return failedUnproven('unreachable', `egress process: ${messageOf(error)}`);
      } finally {
        client.end();
      }
    },
  };
}

/** The fetch that nobody waits for ends with the client's request. */
async function unlessLeft(
  sent: Promise<UpstreamResult>,
  hasLeft: () => Promise<boolean>,
  waitUntil: UpstreamRequest['waitUntil'],
): Promise<UpstreamResult> {
  const { promise, resolve } = Promise.withResolvers<UpstreamResult>();
  const left = (): void => {
    resolve(failed('client_left', true, 'the client has left'));
    void sent.then((late) => late.kind === 'response' && late.response.discard()).catch(() => undefined);
  };
  const deadline = new Deadline(hasLeft, left, waitUntil);
  // How long it may take is the process's affair.
  deadline.set(Number.POSITIVE_INFINITY, () => undefined);
  try {
    return await Promise.race([sent, promise]);
  } finally {
    deadline.clear();
  }
}

/** Aborts the fetch of a request whose body broke off at the client. */
class ClientBody {
  /** What reading it threw. */
  broken: unknown = null;
  #abort: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** Made when asked for: requests without a body need none, and it costs. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  stream(body: Extract<UpstreamRequest['body'], { kind: 'incoming' }>): ReadableStream<Uint8Array> {
    return upload(body, { broken: (error) => this.#break(error) });
  }

  /** For a body the runtime moves by itself, so that nobody sees it stop: all of it, and the answer, must come in time. */
  allow(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#break(new ReadTimeout(`no end of it in ${milliseconds} ms`)), milliseconds);
  }

  end(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #break(error: unknown): void {
    this.broken = error;
    this.#abort?.abort();
  }
}

async function attempt(
  egress: Pick<Fetcher, 'fetch'>,
  identities: TlsIdentities,
  request: UpstreamRequest,
  client: ClientBody,
): Promise<UpstreamResult> {
  const identity = request.scheme === 'https' ? await identities.nameOf(request.tls) : null;
  const exchange = request.websocket && request.followed === true ? crypto.randomUUID() : null;
  const response = await egress.fetch(toEgress(request, { identity, exchange }, client), AS_IT_IS);
  const error = response.headers.get(EGRESS_ERROR);
  if (error === null) {
    const reason = unusable(response);
    if (reason === null) return { kind: 'response', response: answered(response, request, egress, exchange) };
    await response.body?.cancel();
    return failed('protocol', true, reason);
  }
  await response.body?.cancel();
  const failure = decodeFailure(error);
  if (failure.code !== 'unknown_identity' || identity === null) return { kind: 'failure', failure };
  identities.forget(identity);
  if (request.body.kind === 'incoming') return { kind: 'failure', failure };
  const name = await identities.nameOf(request.tls);
  const again = await egress.fetch(toEgress(request, { identity: name, exchange }, client), AS_IT_IS);
  const second = again.headers.get(EGRESS_ERROR);
  return second === null
    ? { kind: 'response', response: answered(again, request, egress, exchange) }
    : { kind: 'failure', failure: decodeFailure(second) };
}

function answered(
  response: Response,
  request: UpstreamRequest,
  egress: Pick<Fetcher, 'fetch'>,
  exchange: string | null,
): FetchResponse {
  if (request.method === 'HEAD' && isDisguised(request)) return new FetchResponse(toHead(response));
  if (exchange === null || response.webSocket === null) return new FetchResponse(response);
  // A process that died has taken the WebSocket with it.
  const over = (): Promise<unknown> =>
    egress.fetch(`${EGRESS_ORIGIN}/exchanges/${exchange}/end`).then(
      (end) => end.body?.cancel(),
      () => undefined,
    );
  return new FetchResponse(response, { over });
}

/** The answer to a HEAD out of that to the POST it was sent as. */
function toHead({ status, statusText, headers, body }: Response): Response {
  void body?.cancel().catch(() => undefined);
  const own = new Headers(headers);
  const length = own.get(EGRESS_LENGTH);
  own.delete(EGRESS_LENGTH);
  if (length === null) own.delete('content-length');
  else own.set('content-length', length);
  return new Response(null, { status, statusText: writablePhrase(statusText), headers: own });
}

/** `identity`: the name of what TLS needs to know; `exchange`: by which the exchange will be asked about. */
function toEgress(
  request: UpstreamRequest,
  { identity, exchange }: { readonly identity: string | null; readonly exchange: string | null },
  client: ClientBody,
): Request {
  const target: EgressTarget = {
    scheme: request.scheme,
    host: request.host,
    port: request.port,
    version: request.version,
    authority: request.authority,
    path: request.target,
    tls: request.scheme === 'https' ? { identity, serverName: serverNameOf(request) } : null,
    timeouts: request.timeouts,
    ...(request.proxy !== undefined && { proxy: request.proxy }),
    ...(request.trailers !== undefined && { trailers: request.trailers }),
    ...(isDisguised(request) && { method: request.method }),
    ...(exchange !== null && { exchange }),
  };
  const headers = new Headers(nativeHeaders(request.headers));
  headers.set(EGRESS_TARGET, encodeHeader(target));
  if (request.websocket) headers.set('upgrade', 'websocket');
  const { body } = request;
  const method = isDisguised(request) ? 'POST' : request.method;
  const url = `${EGRESS_ORIGIN}/`;
  if (body.kind === 'incoming') {
    const { signal } = client;
    // Only a request that is copied from another may have a body with this method.
    if (method === 'HEAD') {
      const { connect, read } = request.timeouts;
      client.allow(body.patience + connect + read);
      return new Request(new Request(url, carrierOf(body.source) ?? undefined), { headers, signal });
    }
    return new Request(url, { method, headers, signal, body: client.stream(body) });
  }
  return new Request(url, { method, headers, body: body.kind === 'none' ? null : body.bytes });
}

/** Whether it reaches the process as a POST: the runtime sends no other GET with a body whose fate is known. */
function isDisguised({ method, body }: UpstreamRequest): boolean {
  return (method === 'GET' && body.kind !== 'none') || !isCarried({ method, body });
}
