import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { OBJECT_NAME } from '../../shared/bundle/object.ts';
import { ShapeError } from '../../shared/bundle/shape.ts';
import { LARGEST } from '../../shared/cluster/bounds.ts';
import { HEARTBEAT_DEADLINE, type Hello, type Order } from '../../shared/cluster/messages.ts';
import { parseFromDataPlane } from '../../shared/cluster/parse.ts';
import { Lately } from '../../shared/lately.ts';
import { messageOf } from '../../shared/thrown.ts';
import { hasExpired, type Peer } from './admission.ts';
import { Challenges } from './challenges.ts';
import { IdTaken } from './claims.ts';
import type { Entrance } from './entrance.ts';
import { answerJson } from './mtls-server.ts';
import { networkOf } from './networks.ts';
import type { Nodes } from './nodes.ts';
import type { ManifestTexts } from './offers.ts';
import { Poller } from './poller.ts';
import { type Quotas, TooMany } from './quotas.ts';
import type { NodeSession, SessionContext } from './session.ts';

/** Seconds a question for the manifest may be held open. */
const LONGEST_WAIT = 60;

interface HttpsFormOptions {
  readonly context: SessionContext;
  readonly nodes: Nodes;
  readonly texts: ManifestTexts;
  readonly entrance: Entrance;
  readonly quotas: Quotas;
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
    for (const poller of this.#pollers.values()) poller.tell(order);
  }

  /** Gives an order to one of them. */
  tell(session: NodeSession, order: Order): void {
    this.#pollers.get(session.node.id)?.tell(order);
  }

  /** Ends the session of one whose id is not, or no longer, its own: it has to say hello again. */
  end(session: NodeSession): void {
    const poller = this.#pollers.get(session.node.id);
    if (poller?.session !== session) return;
    this.#pollers.delete(session.node.id);
    this.#options.nodes.leave(session, `id ${session.node.id} has to be claimed anew`);
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
      await this.#answer(request, response, peer, telemetry);
    } catch (error) {
      this.#fail(error, response, peer);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, peer: Peer, telemetry: boolean): Promise<void> {
    const { quotas } = this.#options;
    const url = URL.parse(request.url ?? '/', 'https://control-plane');
    if (url === null) throw new ShapeError('the target of the request is no URL');
    // It was good when the connection was opened.
    if (hasExpired(peer)) {
      answerJson(response, 403, { message: 'the client certificate has expired' }, { connection: 'close' });
      return;
    }
    const { pathname, searchParams } = url;
    const object = /^\/v1\/objects\/([^/]*)$/.exec(pathname)?.[1];
    quotas.request(peer);
    if (request.method === 'GET' && !telemetry && object !== undefined) {
      this.#object(object, response);
      return;
    }
    const node = searchParams.get('node') ?? '';
    if (quotas.isSpent(peer) && !this.#pollers.get(node)?.asks(request, peer)) {
      throw new TooMany('too much from here was refused, try again in a minute');
    }
    if (request.method === 'GET' && pathname === '/v1/challenge') {
      answerJson(response, 200, { challenge: this.#challenges.issue() }, { 'cache-control': 'no-store' });
    } else if (request.method === 'GET' && !telemetry && pathname === '/v1/manifest') {
      const poller = this.#poller(node, request, response, peer);
      poller?.count(0);
      if (poller !== null) await this.#manifest(poller, Number(searchParams.get('wait') ?? 0), request, response);
    } else if (request.method === 'POST' && pathname === '/v1/status') {
      await this.#status(node, request, response, peer);
    } else answerJson(response, 404, { message: `no such endpoint: ${request.method} ${pathname}` });
  }

  #fail(error: unknown, response: ServerResponse, peer: Peer): void {
    const message = messageOf(error);
    const [status, headers] = answerFor(error);
    const refused = status < 500;
    const { quotas, context } = this.#options;
    const told = !refused || (status === 429 ? quotas.exceeded(peer, message) : quotas.refused(peer));
    // Whose an id is was told already.
    if (told && status !== 403) {
      context.log('warn', `${refused ? 'refused a' : 'failed on a'} request of ${peer.ip}:${peer.port}: ${message}`);
    }
    if (response.headersSent) response.destroy();
    else answerJson(response, status, { message: refused ? message : 'internal error' }, headers);
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
      this.#options.quotas.refused(peer);
      answerJson(response, 428, { message: `no hello of node '${id.slice(0, 64)}': say it with POST /v1/status` });
      return null;
    }
    if (poller.asks(request, peer)) return poller;
    this.#options.quotas.refused(peer);
    if (this.#told.isNew(`${id} ${networkOf(peer.ip)} ${peer.subject}`)) {
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
    const isLast = poller.begin();
    for (;;) {
      const order = isLast() ? (poller.session.assignment() ?? poller.nextOrder()) : undefined;
      if (order !== undefined) {
        const text = await poller.session.orders.message(order);
        response.writeHead(200, { 'content-type': 'application/json' }).end(text);
        return;
      }
      const { status, etag, text } = await this.#offer(poller.session);
      if (request.headers['if-none-match'] !== etag) {
        response.writeHead(status, { 'content-type': 'application/json', etag }).end(await text());
        return;
      }
      const remaining = until - Date.now();
      const over = this.#closed || !isLast() || this.#pollers.get(poller.session.node.id) !== poller;
      if (remaining <= 0 || over || response.destroyed) {
        response.writeHead(304, { etag }).end();
        return;
      }
      await poller.woken(remaining, response);
    }
  }

  /** What the node gets now, and how to know it again. */
  async #offer(session: NodeSession): Promise<{ status: number; etag: string; text: () => string | Promise<string> }> {
    const offer = await session.offer();
    if (offer.kind === 'withheld') {
      return {
        status: 409,
        etag: `"withheld-${createHash('sha256').update(offer.message.reason).digest('base64url')}"`,
        text: () => session.orders.message(offer.message),
      };
    }
    const { serial, config_hash } = offer.release.manifest;
    const { length } = this.#options.context.publisher.statements();
    return {
      status: 200,
      // The same config signed anew, with another key, is another answer.
      etag: `"${serial}-${config_hash}${length === 0 ? '' : `-${length}`}"`,
      text: () => this.#options.texts.withoutObjects(offer.release),
    };
  }

  async #status(id: string, request: IncomingMessage, response: ServerResponse, peer: Peer): Promise<void> {
    const text = await this.#body(request, peer);
    const message = parseFromDataPlane(text);
    if (message?.type === 'hello') {
      const token = await this.#hello(message, id, peer);
      if (token === null) response.writeHead(204).end();
      else answerJson(response, 200, { session: token }, { 'cache-control': 'no-store' });
      return;
    }
    const poller = this.#poller(id, request, response, peer);
    if (poller === null) return;
    poller.count(text.length);
    if (message !== null) poller.session.receive(message);
    response.writeHead(204).end();
  }

  async #body(request: IncomingMessage, peer: Peer): Promise<string> {
    const read = this.#options.quotas.open(peer);
    try {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of request) {
        if (!Buffer.isBuffer(chunk)) continue;
        size += chunk.length;
        if (size > LARGEST.message) throw new ShapeError(`body: more than ${LARGEST.message} bytes`);
        chunks.push(chunk);
      }
      return Buffer.concat(chunks).toString('utf8');
    } finally {
      read();
    }
  }

  /** Returns what the node has to show from now on. */
  async #hello(hello: Hello, id: string, peer: Peer): Promise<string | null> {
    const { nodes, entrance } = this.#options;
    if (hello.node.id !== id)
      throw new ShapeError(`hello.node.id: ${hello.node.id}, but the request is of node '${id}'`);
    const session = await entrance.begin(hello, peer, (challenge) => this.#challenges.redeem(challenge));
    const token = hello.proof === undefined ? null : randomBytes(32).toString('base64url');
    nodes.join(session, 'by polling');
    const before = this.#pollers.get(id);
    this.#pollers.set(id, new Poller(session, token, before));
    before?.wake();
    return token;
  }

  #forgetSilent(): void {
    for (const [id, poller] of this.#pollers) {
      const { session } = poller;
      // A question held open is a sign of life too.
      const allowed = HEARTBEAT_DEADLINE + LONGEST_WAIT * 1000;
      if (Date.now() - session.lastSeen < allowed && this.#options.nodes.get(id) === session) continue;
      this.#pollers.delete(id);
      this.#options.nodes.leave(session, `nothing was heard of it for ${allowed / 1000} seconds`);
      poller.wake();
    }
  }
}

/** The status of a failure, and what is said with it. */
function answerFor(error: unknown): [status: number, headers?: Record<string, string>] {
  if (error instanceof IdTaken) return [403];
  if (error instanceof TooMany) return [429, { 'retry-after': '60' }];
  return [error instanceof ShapeError ? 400 : 500];
}
