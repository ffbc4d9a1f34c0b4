import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { ShapeError } from '../../shared/bundle/shape.ts';
import { LARGEST } from '../../shared/cluster/bounds.ts';
import { HEARTBEAT_DEADLINE, type Hello, type Order } from '../../shared/cluster/messages.ts';
import { CHALLENGE_HEADER } from '../../shared/cluster/node-proof.ts';
import { parseFromDataPlane } from '../../shared/cluster/parse.ts';
import { messageOf } from '../../shared/thrown.ts';
import { hasExpired, type Peer } from './admission.ts';
import { IdTaken } from './claims.ts';
import type { Entrance } from './entrance.ts';
import { FLOODING, Flood } from './flood.ts';
import { endUpgrade } from './mtls-server.ts';
import type { Nodes } from './nodes.ts';
import type { ManifestTexts } from './offers.ts';
import { type Quotas, TooMany } from './quotas.ts';
import type { NodeSession, SessionContext } from './session.ts';

/** Milliseconds a new connection has for its hello. */
const HELLO_TIMEOUT = 10_000;

/** Milliseconds data planes have to answer a goodbye. */
const GOODBYE_TIMEOUT = 1_000;

/** Bytes of a close frame's reason: 123 (RFC 6455, 5.5), less what a character cut in two may grow by. */
const LONGEST_REASON = 120;

/** Bytes that may wait for a peer to read them: more than two of the largest messages it is ever sent. */
const MOST_UNREAD = 4 << 20;

/** WebSocket close codes of our own (RFC 6455, 7.4.2) and the standard ones used. */
const CLOSE = {
  goingAway: 1001,
  internal: 1011,
  malformed: 4400,
  certificateExpired: 4403,
  silent: 4408,
  replaced: 4409,
  taken: 4423,
  flooding: 4429,
} as const;

interface LinksOptions {
  readonly context: SessionContext;
  readonly nodes: Nodes;
  readonly texts: ManifestTexts;
  readonly entrance: Entrance;
  readonly quotas: Quotas;
}

/** The WebSocket form of the link: one connection per data plane. */
export class Links {
  readonly #options: LinksOptions;
  readonly #server: WebSocketServer;
  readonly #links = new Map<NodeSession, Link>();
  /** What the answers to upgrades under way hold. */
  readonly #challenges = new WeakMap<IncomingMessage, string>();

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#server = new WebSocketServer({ noServer: true, maxPayload: LARGEST.message, perMessageDeflate: false });
    this.#server.on('headers', (headers, request) => {
      headers.push(`${CHALLENGE_HEADER}: ${this.#challenges.get(request)}`);
    });
  }

  /** Never throws. */
  async accept(request: IncomingMessage, socket: Duplex, head: Buffer, peer: Peer): Promise<void> {
    const { quotas } = this.#options;
    let greeted: () => void;
    try {
      greeted = await quotas.turn(peer);
    } catch (error) {
      const isOneTooMany = error instanceof TooMany;
      if (!isOneTooMany) this.#options.context.log('error', `an upgrade failed: ${messageOf(error)}`);
      endUpgrade(socket, isOneTooMany ? '429 Too Many Requests' : '500 Internal Server Error', messageOf(error));
      return;
    }
    // It may have left while it waited, when nothing is heard of its end any more.
    if (socket.destroyed) {
      greeted();
      return;
    }
    socket.once('close', greeted);
    const challenge = randomUUID();
    this.#challenges.set(request, challenge);
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      new Link(webSocket, peer, challenge, this.#options, {
        greeted,
        joined: (link, session) => {
          const previous = this.#options.nodes.join(session, 'by a WebSocket');
          this.#links.set(session, link);
          const replaced = previous === undefined ? undefined : this.#links.get(previous);
          replaced?.giveWay();
        },
        left: (session, reason) => {
          this.#links.delete(session);
          this.#options.nodes.leave(session, reason);
        },
      });
    });
  }

  /** There is a new release. */
  publish(): void {
    for (const link of this.#links.values()) link.publish();
  }

  /** Gives an order to every connected data plane. */
  broadcast(order: Order): void {
    for (const [session, link] of this.#links) void link.order(session, order);
  }

  /** Gives an order to one of them. False when it is not connected this way. */
  tell(session: NodeSession, order: Order): boolean {
    const link = this.#links.get(session);
    void link?.order(session, order);
    return link !== undefined;
  }

  /** Ends the link of one whose id is not, or no longer, its own. False when it is not connected this way. */
  end(session: NodeSession): boolean {
    const link = this.#links.get(session);
    link?.close(CLOSE.taken, `id ${session.node.id} has to be claimed anew`);
    return link !== undefined;
  }

  /** Says goodbye to everyone, and hangs up on those that do not answer. */
  async close(): Promise<void> {
    const open = [...this.#server.clients].map((webSocket) => {
      webSocket.close(CLOSE.goingAway, 'the control plane stops');
      return once(webSocket, 'close');
    });
    const hangUp = setTimeout(() => {
      for (const webSocket of this.#server.clients) webSocket.terminate();
    }, GOODBYE_TIMEOUT);
    await Promise.all(open);
    clearTimeout(hangUp);
    this.#server.close();
  }
}

interface LinkEvents {
  /** It said a hello, or goes. */
  readonly greeted: () => void;
  readonly joined: (link: Link, session: NodeSession) => void;
  readonly left: (session: NodeSession, reason: string) => void;
}

/** One connection. Messages are handled in their order; of releases only the newest is sent, one at a time. */
class Link {
  readonly #webSocket: WebSocket;
  readonly #peer: Peer;
  readonly #challenge: string;
  readonly #options: LinksOptions;
  readonly #events: LinkEvents;
  readonly #deadline: NodeJS.Timeout;
  #session: NodeSession | null = null;
  /** Why this end of the link ends it. */
  #ending: string | null = null;
  #handled: Promise<void> = Promise.resolve();
  readonly #flood = new Flood();
  /** Of the release that was sent last. */
  #sent: { readonly serial: number | null; readonly config_hash: string | null } = { serial: null, config_hash: null };
  #sentJws = '';
  #sending = false;
  #outdated = false;

  constructor(webSocket: WebSocket, peer: Peer, challenge: string, options: LinksOptions, events: LinkEvents) {
    this.#webSocket = webSocket;
    this.#peer = peer;
    this.#challenge = challenge;
    this.#options = options;
    this.#events = events;
    const hello = setTimeout(() => this.close(CLOSE.silent, 'no hello in time'), HELLO_TIMEOUT);
    this.#deadline = setTimeout(
      () => this.#terminate(`nothing was heard of it for ${HEARTBEAT_DEADLINE / 1000} seconds`),
      HEARTBEAT_DEADLINE,
    );
    webSocket.on('message', (data, isBinary) => {
      this.#deadline.refresh();
      clearTimeout(hello);
      if (this.#floods(sizeOf(data))) return;
      this.#handled = this.#handled.then(() => this.#receive(data, isBinary));
    });
    webSocket.on('error', (error) => this.#log('warn', `link: ${error.message}`));
    webSocket.on('close', (code, reason) => {
      clearTimeout(hello);
      clearTimeout(this.#deadline);
      if (this.#session !== null) this.#events.left(this.#session, this.#ending ?? closeWords(code, String(reason)));
    });
  }

  close(code: number, reason: string): void {
    this.#log('warn', `closing the link: ${reason}`);
    this.#end(code, reason);
  }

  /** The same node is connected again. */
  giveWay(): void {
    this.#end(CLOSE.replaced, 'the same node connected again');
  }

  #end(code: number, reason: string): void {
    this.#ending = reason;
    this.#webSocket.close(code, Buffer.from(reason).subarray(0, LONGEST_REASON).toString());
  }

  /** Never throws. */
  async order(session: NodeSession, order: Order): Promise<void> {
    try {
      this.#send(await session.orders.message(order));
    } catch (error) {
      this.#log('error', `cannot be given an order (${order.type}): ${messageOf(error)}`);
    }
  }

  #send(text: string): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    if (this.#webSocket.bufferedAmount > MOST_UNREAD) {
      this.#terminate('it does not read what it is sent');
    } else this.#webSocket.send(text);
  }

  /** Offers the newest release, now or as soon as the one before it is on its way: a slow peer never piles them up. */
  publish(): void {
    if (this.#session === null) return;
    if (this.#sending) this.#outdated = true;
    else void this.#publish(this.#session);
  }

  /** Never throws. */
  async #publish(session: NodeSession): Promise<void> {
    this.#sending = true;
    try {
      do {
        this.#outdated = false;
        await this.#offer(session);
      } while (this.#outdated && this.#webSocket.readyState === this.#webSocket.OPEN);
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.#sending = false;
    }
  }

  async #offer(session: NodeSession): Promise<void> {
    const assignment = session.assignment();
    if (assignment !== null) await this.order(session, assignment);
    const offer = await session.offer();
    let text: string;
    if (offer.kind === 'release') {
      const { serial, config_hash } = offer.release.manifest;
      // There was something for other groups only.
      if (offer.release.jws === this.#sentJws && session.record.serial === serial) return;
      this.#sentJws = offer.release.jws;
      text = this.#options.texts.withObjects(offer.release, offer.held);
      this.#sent = { serial, config_hash };
    } else text = await session.orders.message(offer.message);
    await new Promise<void>((resolve) => this.#webSocket.send(text, () => resolve()));
  }

  /** Counts a message; closes the link of a data plane that says too much. */
  #floods(bytes: number): boolean {
    if (!this.#flood.counts(bytes)) return false;
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.close(CLOSE.flooding, FLOODING);
    return true;
  }

  async #receive(data: RawData, isBinary: boolean): Promise<void> {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    try {
      if (isBinary) throw new ShapeError('message: expected a text frame');
      const message = parseFromDataPlane(String(data));
      if (this.#session === null) {
        if (message?.type !== 'hello') throw new ShapeError('message: expected the hello first');
        await this.#begin(message);
      } else if (message !== null) {
        this.#session.receive(message);
        if (message.type === 'heartbeat') this.#beat();
      }
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(error: unknown): void {
    const reason = messageOf(error);
    const code = codeOf(error);
    if (code === null) {
      // A fault of this end: it must not take the other links along.
      this.#log('error', `closing the link: ${reason}`);
      this.#end(CLOSE.internal, 'internal error');
      return;
    }
    const { quotas } = this.#options;
    const told = code === CLOSE.flooding ? quotas.exceeded(this.#peer, reason) : quotas.refused(this.#peer);
    // Whose an id is was told already.
    if (told && code !== CLOSE.taken) this.close(code, reason);
    else this.#end(code, reason);
  }

  async #begin(hello: Hello): Promise<void> {
    const isOurs = (challenge: string) => challenge === this.#challenge;
    const session = await this.#options.entrance.begin(hello, this.#peer, isOurs);
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    this.#session = session;
    this.#events.greeted();
    this.#events.joined(this, session);
    this.publish();
  }

  #beat(): void {
    if (hasExpired(this.#peer)) {
      this.close(CLOSE.certificateExpired, 'the client certificate has expired');
      return;
    }
    this.#send(JSON.stringify({ type: 'heartbeat', ...this.#sent }));
  }

  #terminate(reason: string): void {
    this.#ending = reason;
    this.#webSocket.terminate();
  }

  #log(level: 'info' | 'warn' | 'error', message: string): void {
    const who = this.#session?.name ?? `${this.#peer.ip}:${this.#peer.port}`;
    this.#options.context.log(level, `${who} ${message}`);
  }
}

/** How the link ends for what a data plane has done; null for what it has nothing to do with. */
function codeOf(error: unknown): number | null {
  if (error instanceof IdTaken) return CLOSE.taken;
  if (error instanceof TooMany) return CLOSE.flooding;
  return error instanceof ShapeError ? CLOSE.malformed : null;
}

function sizeOf(data: RawData): number {
  return Array.isArray(data) ? data.reduce((sum, part) => sum + part.length, 0) : data.byteLength;
}

/** Why the other end, or the network, ended a link. */
function closeWords(code: number, reason: string): string {
  if (code === 1006) return 'the connection was lost';
  return reason === '' ? 'it hung up' : `it hung up (${printable(reason)})`;
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, '?');
}
