import { Lately } from '../../shared/lately.ts';
import type { Peer } from './admission.ts';
import type { ClusterLog } from './mtls-server.ts';
import { networkOf } from './networks.ts';

/** Milliseconds. */
const MINUTE = 60_000;

/**
 * Data planes nobody knew, of one certificate and address; others have to try again. A fleet of thousands is there in some minutes; how many
 * there may be of one address in the end, `Nodes` says.
 */
const NEW_NODES = 2_000;
/** Of one certificate and address: what was refused, whatever it was. */
const REFUSALS = 600;
/** Hellos of one data plane, after it has proved that it is that one: twice as often as one tries again whose link ends at once. */
const HELLOS = 240;
/** Of one certificate and address: several times what a first config of the largest size takes. */
const REQUESTS = 60_000;
/** Of one certificate and address, at a time: connections without a hello, and bodies being read. */
const OPEN = 256;
/** Of one certificate and address: connections that wait for their turn to say hello, which a fleet does when its control plane is back. */
const WAITING = 5_000;
/** Milliseconds for which one waits: less than the 10 s after which a data plane gives up. */
const TURN = 8_000;

/** A data plane, or what says it is one, takes more than it may. */
export class TooMany extends Error {
  override readonly name = 'TooMany';
}

/**
 * What the holders of one certificate may ask for in a minute. In `cluster_mtls = shared` all data planes have the same, so
 * that what is refused counts for their address as well (of IPv6, its /64): one that was taken over must not keep the others out.
 */
export class Quotas {
  readonly #log: ClusterLog;
  readonly #mostNew: number;
  readonly #newNodes: PerMinute;
  readonly #refusals = new PerMinute(REFUSALS);
  readonly #hellos = new PerMinute(HELLOS);
  readonly #requests = new PerMinute(REQUESTS);
  readonly #open = new Map<string, number>();
  /** Who waits for its turn, by certificate and address, in the order they came. */
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #told = new Lately();

  constructor(log: ClusterLog, mostNew = NEW_NODES) {
    this.#log = log;
    this.#mostNew = mostNew;
    this.#newNodes = new PerMinute(mostNew);
  }

  /** Throws `TooMany` when so many data planes of this certificate and address are new that one more must wait. */
  newNode(peer: Peer): void {
    if (this.#newNodes.take(placeOf(peer))) return;
    throw new TooMany(
      `more than ${this.#mostNew} new data planes in a minute of ${networkOf(peer.ip)} with certificate '${peer.subject}'`,
    );
  }

  /** Throws `TooMany` when this data plane says hello all the time. */
  hello(id: string): void {
    if (!this.#hellos.take(id)) throw new TooMany(`more than ${HELLOS} hellos of one data plane in a minute`);
  }

  /** Something of this peer was refused. Says whether to tell of it; of the last one that is allowed, this tells itself. */
  refused(peer: Peer): boolean {
    if (!this.#refusals.take(placeOf(peer))) return false;
    if (!this.#refusals.isSpent(placeOf(peer))) return true;
    this.#log(
      'warn',
      `${REFUSALS} things of ${networkOf(peer.ip)} (certificate '${peer.subject}') were refused within a minute: until it is over, more are not told`,
    );
    return false;
  }

  /** Something of this peer was one too many, which may be honest and does not count against it. Says whether to tell of it. */
  exceeded(peer: Peer, what: string): boolean {
    return this.#told.isNew(`${placeOf(peer)} ${what}`);
  }

  /** Whether so much of this peer was refused that only who is known is heard. */
  isSpent(peer: Peer): boolean {
    return this.#refusals.isSpent(placeOf(peer));
  }

  /** Throws `TooMany`. */
  request(peer: Peer): void {
    if (!this.#requests.take(placeOf(peer))) throw new TooMany(`more than ${REQUESTS} requests in a minute`);
  }

  /** Something is open until the function that is returned is called. Throws `TooMany` when too much is. */
  open(peer: Peer): () => void {
    const place = placeOf(peer);
    const before = this.#open.get(place) ?? 0;
    if (before >= OPEN)
      throw new TooMany(`more than ${OPEN} connections and requests that have not said yet whose they are`);
    this.#open.set(place, before + 1);
    return this.#closing(place);
  }

  /**
   * The same once it is its turn: a connection that was secured is worth too much to be refused for a moment. Throws `TooMany` when too many
   * wait, or it takes too long.
   */
  async turn(peer: Peer): Promise<() => void> {
    const place = placeOf(peer);
    if ((this.#open.get(place) ?? 0) < OPEN) return this.open(peer);
    const waiting = this.#waiting.get(place) ?? new Set();
    if (waiting.size >= WAITING)
      throw new TooMany(`more than ${WAITING} connections wait for their turn to say whose they are`);
    this.#waiting.set(place, waiting);
    return new Promise((resolve, reject) => {
      const next = (): void => {
        clearTimeout(late);
        leave();
        resolve(this.#closing(place));
      };
      const leave = (): void => {
        waiting.delete(next);
        if (waiting.size === 0) this.#waiting.delete(place);
      };
      const late = setTimeout(() => {
        leave();
        reject(new TooMany(`more than ${OPEN} connections have not said yet whose they are`));
      }, TURN);
      waiting.add(next);
    });
  }

  /** What is to be called when one that is open is not any more: the next takes its place. */
  #closing(place: string): () => void {
    let closed = false;
    return () => {
      if (closed) return;
      closed = true;
      const [next] = this.#waiting.get(place) ?? [];
      if (next !== undefined) {
        next();
        return;
      }
      const left = (this.#open.get(place) ?? 1) - 1;
      if (left === 0) this.#open.delete(place);
      else this.#open.set(place, left);
    };
  }
}

function certificateOf(peer: Peer): string {
  return peer.certificateKey ?? 'shared';
}

function placeOf(peer: Peer): string {
  return `${certificateOf(peer)} ${networkOf(peer.ip)}`;
}

/** So many of each key, in a minute that begins with the first. */
export class PerMinute {
  readonly #most: number;
  readonly #taken = new Map<string, { readonly since: number; count: number }>();

  constructor(most: number) {
    this.#most = most;
  }

  take(key: string, count = 1): boolean {
    const now = Date.now();
    for (const [other, { since }] of this.#taken) {
      if (Math.abs(now - since) < MINUTE) break;
      this.#taken.delete(other);
    }
    const taken = this.#taken.get(key);
    if ((taken?.count ?? 0) + count > this.#most) return false;
    if (taken === undefined) this.#taken.set(key, { since: now, count });
    else taken.count += count;
    return true;
  }

  isSpent(key: string): boolean {
    const taken = this.#taken.get(key);
    return taken !== undefined && taken.count >= this.#most && Math.abs(Date.now() - taken.since) < MINUTE;
  }
}
