import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { OBJECT_NAME } from '../../shared/bundle/object.ts';
import { ShapeError } from '../../shared/bundle/shape.ts';
import { HEARTBEAT_DEADLINE, type Hello, type Order } from '../../shared/cluster/messages.ts';
import { SESSION_HEADER } from '../../shared/cluster/node-proof.ts';
import { parseFromDataPlane } from '../../shared/cluster/parse.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Peer } from './admission.ts';
import { Challenges } from './challenges.ts';
import { IdTaken } from './claims.ts';
import type { Entrance } from './entrance.ts';
import { Lately } from './lately.ts';
import { answerJson } from './mtls-server.ts';
import type { Nodes } from './nodes.ts';
import type { ManifestTexts } from './offers.ts';
import type { NodeSession, SessionContext } from './session.ts';

/** Seconds a question for the manifest may be held open. */
const LONGEST_WAIT = 60;
/** Bytes of a status message: a hello carries a manifest. */
const LARGEST_STATUS = 4 << 20;
/** Messages kept for a data plane between two of its questions. */
const LONGEST_QUEUE = 1000;

interface HttpsFormOptions {
  readonly context: SessionContext;
  readonly nodes: Nodes;
  readonly texts: ManifestTexts;
  readonly entrance: Entrance;
}

/** A data plane that polls. */
interface Poller {
  readonly session: NodeSession;
  /** Shown with everything it says; null for a data plane of an earlier version, which proves nothing. */
  readonly token: string | null;
  /** What is to be said besides the manifest, in order. */
  readonly queue: Order[];
  /** Ends its open question. */
  wake: () => void;
}

/** The link in plain HTTPS, see `shared/cluster/messages.ts`. */
export class HttpsForm {
  readonly #options: HttpsFormOptions;
  readonly #pollers = new Map<string, Poller>();
  readonly #challenges = new Challenges();
  readonly #told = new Lately();
  readonly #sweep: NodeJS.Timeout;
  #closed = false;

  constructor(options: HttpsFormOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#forgetSilent(), HEARTBEAT_DEADLINE);
    this.#sweep.unref();
  }

  /** There is a new release. */
  publish(): void {
    for (const poller of this.#pollers.values()) poller.wake();
  }

  /** Gives an order to every data plane that polls. */
  broadcast(order: Order): void {
    for (const { session } of this.#pollers.values()) this.tell(session, order);
  }

  /** Gives an order to one of them. */
  tell(session: NodeSession, order: Order): void {
    const poller = this.#pollers.get(session.node.id);
    if (poller === undefined) return;
    if (poller.queue.length < LONGEST_QUEUE) poller.queue.push(order);
    poller.wake();
  }

  /** Ends the session of one whose id is not, or no longer, its own: it has to say hello again. */
  end(session: NodeSession): void {
    const poller = this.#pollers.get(session.node.id);
    if (poller?.session !== session) return;
    this.#pollers.delete(session.node.id);
    this.#options.nodes.leave(session);
    poller.wake();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#sweep);
    this.publish();
  }

  /** Answers every request that is not an upgrade; the telemetry listener only takes statuses. Never throws. */
  async handle(request: IncomingMessage, response: ServerResponse, peer: Peer, telemetry: boolean): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'https://control-plane');
      const node = url.searchParams.get('node') ?? '';
      const object = /^\/v1\/objects\/([^/]*)$/.exec(url.pathname)?.[1];
      const config = request.method === 'GET' && !telemetry;
      if (config && object !== undefined) this.#object(object, response);
      else if (request.method === 'GET' && url.pathname === '/v1/challenge') {
        answerJson(response, 200, { challenge: this.#challenges.issue() }, { 'cache-control': 'no-store' });
      } else if (config && url.pathname === '/v1/manifest') {
        const poller = this.#poller(node, request, response, peer);
        if (poller !== null) {
          await this.#manifest(poller, Number(url.searchParams.get('wait') ?? 0), request, response);
        }
      } else if (url.pathname === '/v1/status' && request.method === 'POST') {
        await this.#status(node, request, response, peer);
      } else answerJson(response, 404, { message: `no such endpoint: ${request.method} ${url.pathname}` });
    } catch (error) {
      const message = messageOf(error);
      if (error instanceof IdTaken) {
        answerJson(response, 403, { message });
        return;
      }
      const known = error instanceof ShapeError;
      this.#options.context.log(
        'warn',
        `${known ? 'refused a' : 'failed on a'} request of ${peer.ip}:${peer.port}: ${message}`,
      );
      if (response.headersSent) response.destroy();
      else answerJson(response, known ? 400 : 500, { message: known ? message : 'internal error' });
    }
  }

  #object(name: string, response: ServerResponse): void {
    const object = OBJECT_NAME.test(name) ? this.#options.context.publisher.object(name) : undefined;
    if (object === undefined) {
      answerJson(response, 404, { message: `no object ${name.slice(0, 64)}` });
      return;
    }
    const headers = {
      'content-type': 'application/gzip',
      'content-length': String(object.gzip.length),
      'cache-control': 'public, max-age=31536000, immutable',
      etag: `"${name}"`,
    };
    response.writeHead(200, headers).end(object.gzip);
  }

  /** The data plane that asks, when it shows that it is the one that said hello; else it is answered here. */
  #poller(id: string, request: IncomingMessage, response: ServerResponse, peer: Peer): Poller | null {
    const poller = this.#pollers.get(id);
    if (poller === undefined) {
      answerJson(response, 428, { message: `no hello of node '${id.slice(0, 64)}': say it with POST /v1/status` });
      return null;
    }
    const { token, session } = poller;
    const same = token === null || sameText(token, String(request.headers[SESSION_HEADER] ?? ''));
    if (same && peer.certificateKey === session.peer.certificateKey) return poller;
    if (this.#told.isNew(`${id} ${peer.ip} ${peer.subject}`)) {
      this.#options.context.log(
        'warn',
        `refused a request of ${peer.ip}:${peer.port} (certificate '${peer.subject}') in the name of data plane ${id}, whose hello it did not say`,
      );
    }
    answerJson(response, 403, { message: `the hello of node '${id}' was said by another: say it first` });
    return null;
  }

  async #manifest(poller: Poller, wait: number, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!(wait >= 0)) throw new ShapeError('wait: expected a number of seconds');
    const until = Date.now() + Math.min(wait, LONGEST_WAIT) * 1000;
    for (;;) {
      const queued = poller.queue.shift();
      if (queued !== undefined) {
        const text = await poller.session.orders.message(queued);
        response.writeHead(200, { 'content-type': 'application/json' }).end(text);
        return;
      }
      const { status, etag, text } = await this.#answer(poller.session);
      if (request.headers['if-none-match'] !== etag) {
        response.writeHead(status, { 'content-type': 'application/json', etag }).end(await text());
        return;
      }
      const remaining = until - Date.now();
      const ended = this.#closed || this.#pollers.get(poller.session.node.id) !== poller;
      if (remaining <= 0 || ended || response.destroyed) {
        response.writeHead(304, { etag }).end();
        return;
      }
      await woken(poller, remaining, response);
    }
  }

  /** What the node gets now, and how to know it again. */
  async #answer(session: NodeSession): Promise<{ status: number; etag: string; text: () => string | Promise<string> }> {
    const offer = await session.offer();
    if (offer.kind === 'withheld') {
      return {
        status: 409,
        etag: `"withheld-${Buffer.from(offer.message.reason).toString('base64url')}"`,
        text: () => session.orders.message(offer.message),
      };
    }
    const { serial, config_hash } = offer.release.manifest;
    return {
      status: 200,
      etag: `"${serial}-${config_hash}"`,
      text: () => this.#options.texts.withoutObjects(offer.release),
    };
  }

  async #status(id: string, request: IncomingMessage, response: ServerResponse, peer: Peer): Promise<void> {
    const message = parseFromDataPlane(await body(request));
    if (message?.type === 'hello') {
      const token = await this.#hello(message, id, peer);
      if (token === null) response.writeHead(204).end();
      else answerJson(response, 200, { session: token }, { 'cache-control': 'no-store' });
      return;
    }
    const poller = this.#poller(id, request, response, peer);
    if (poller === null) return;
    if (message !== null) poller.session.receive(message);
    response.writeHead(204).end();
  }

  /** Returns what the node has to show from now on. */
  async #hello(hello: Hello, id: string, peer: Peer): Promise<string | null> {
    const { nodes, entrance, context } = this.#options;
    if (hello.node.id !== id)
      throw new ShapeError(`hello.node.id: ${hello.node.id}, but the request is of node '${id}'`);
    const session = await entrance.begin(hello, peer, (challenge) => this.#challenges.redeem(challenge));
    const token = hello.proof === undefined ? null : randomBytes(32).toString('base64url');
    nodes.join(session);
    const before = this.#pollers.get(id);
    this.#pollers.set(id, { session, token, queue: [], wake: () => undefined });
    before?.wake();
    context.log('info', `${session.name} polls, holding serial ${session.record.serial ?? 'none'}`);
    return token;
  }

  #forgetSilent(): void {
    for (const [id, { session, wake }] of this.#pollers) {
      // A question held open is a sign of life too.
      const allowed = HEARTBEAT_DEADLINE + LONGEST_WAIT * 1000;
      if (Date.now() - session.lastSeen < allowed && this.#options.nodes.get(id) === session) continue;
      this.#pollers.delete(id);
      this.#options.nodes.leave(session);
      wake();
    }
  }
}

/** Resolves when there is something to say, the time is up, or the asker went away. */
function woken(poller: Poller, milliseconds: number, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      response.off('close', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    response.once('close', done);
    poller.wake = done;
  });
}

function sameText(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}

async function body(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.length;
    if (size > LARGEST_STATUS) throw new ShapeError(`body: more than ${LARGEST_STATUS} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
