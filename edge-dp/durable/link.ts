import { type FromDataPlane, HEARTBEAT_DEADLINE, HEARTBEAT_INTERVAL } from '../../shared/cluster/messages.ts';
import { CHALLENGE_HEADER } from '../../shared/cluster/node-proof.ts';
import { messageOf } from '../../shared/thrown.ts';
import { textAtMost } from '../http/at-most.ts';
import { backoff } from './backoff.ts';
import type { ControlPlane } from './control-planes.ts';
import { type Incoming, parseFromControlPlane } from './incoming.ts';
import { LinkStory } from './link-story.ts';
import { Polling } from './polling.ts';

/** Milliseconds for the upgrade to be answered. */
const CONNECT_TIMEOUT = 10_000;
/** Bytes of the reason for a refused upgrade that are worth a line in the log. */
const LONGEST_REASON = 1_000;
/** Upgrades that fail in a row before the plain HTTPS form is tried beside them. */
const UPGRADES_BEFORE_POLLING = 3;
/** Milliseconds of polling after which the WebSocket is tried again. */
const POLLING_TERM = 300_000;

/** What the link needs of its owner. */
export interface LinkOwner {
  readonly nodeId: string;
  /** What is said first, and again after every reconnect; `challenge` is the control plane's, where it has one. */
  greeting(challenge: string | null): Promise<readonly FromDataPlane[]>;
  heartbeat(): FromDataPlane;
  receive(message: Incoming): void;
  /** Asks for a `tick` in so many milliseconds. */
  wakeIn(milliseconds: number): void;
  log(level: 'info' | 'notice' | 'warn', message: string): void;
}

/**
 * The connection to one control plane out of several: a WebSocket, or the plain HTTPS form where upgrades do not get
 * through. Driven by `tick`, which its owner calls from an alarm, so that it goes on after a restart.
 */
export class Link {
  readonly #planes: readonly ControlPlane[];
  readonly #owner: LinkOwner;
  #socket: WebSocket | null = null;
  #polling: { readonly client: Polling; readonly until: number } | null = null;
  #heardAt = 0;
  #saidAt = 0;
  #plane: number;
  #failures: number;
  #failedUpgrades = 0;
  readonly #story: LinkStory;

  /** `failures`: how many attempts in a row had failed when the node was stopped. */
  constructor(planes: readonly ControlPlane[], owner: LinkOwner, failures: number) {
    this.#planes = planes;
    this.#owner = owner;
    this.#story = new LinkStory((level, message) => owner.log(level, message));
    this.#failures = failures;
    // Nodes spread over the control planes by their ids, and each comes back to its own after a restart.
    this.#plane = planes.length === 0 ? 0 : Number.parseInt(owner.nodeId.slice(0, 8), 16) % planes.length;
  }

  get failures(): number {
    return this.#failures;
  }

  get connected(): boolean {
    return this.#socket !== null || this.#polling !== null;
  }

  /** The control planes, the linked one first. */
  get planes(): readonly ControlPlane[] {
    return [...this.#planes.slice(this.#plane), ...this.#planes.slice(0, this.#plane)];
  }

  send(message: FromDataPlane): void {
    this.#saidAt = Date.now();
    const polling = this.#polling;
    try {
      this.#socket?.send(JSON.stringify(message));
    } catch (error) {
      // Its end was not announced yet.
      this.fail(messageOf(error));
      return;
    }
    polling?.client.say(message).catch((error: unknown) => {
      if (this.#polling === polling) this.fail(messageOf(error));
    });
  }

  /** Config arrived and is in use: whatever failed before is over. */
  settled(): void {
    this.#failures = 0;
  }

  /** Gives the connection up and tries again after a pause. */
  fail(reason: string): void {
    const socket = this.#socket;
    const polling = this.#polling;
    this.#socket = null;
    this.#polling = null;
    polling?.client.close();
    try {
      socket?.close(1000, 'reconnecting');
    } catch {
      // Closed already by the other side.
    }
    this.#failures++;
    const planes = this.#planes.length;
    this.#plane = (this.#plane + 1) % planes;
    // The other control planes are tried at once; only after all of them failed there is a pause.
    const round = Math.ceil(this.#failures / planes);
    const pause = this.#failures % planes === 0 ? backoff(round) : backoff(1) / 5;
    this.#story.down(reason, pause);
    this.#owner.wakeIn(pause);
  }

  /** Does what is due: connects, says a heartbeat, gives up a silent peer, polls. Never throws. */
  async tick(): Promise<void> {
    const plane = this.#planes[this.#plane];
    if (plane === undefined) return;
    if (this.#socket !== null) return this.#watch();
    const polling = this.#polling;
    try {
      if (polling === null) await this.#connect(plane);
      else await this.#poll(polling);
    } catch (error) {
      // Unless it was given up meanwhile: that has failed already.
      if (polling === null || polling === this.#polling) this.fail(messageOf(error));
    }
  }

  #watch(): void {
    const silence = since(this.#heardAt);
    if (silence > HEARTBEAT_DEADLINE) {
      this.fail(`silent for ${silence} ms`);
      return;
    }
    if (since(this.#saidAt) >= HEARTBEAT_INTERVAL) this.send(this.#owner.heartbeat());
    this.#owner.wakeIn(Math.min(HEARTBEAT_DEADLINE - HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL));
  }

  async #connect(plane: ControlPlane): Promise<void> {
    try {
      await this.#upgrade(plane);
      this.#failedUpgrades = 0;
    } catch (error) {
      this.#failedUpgrades++;
      if (this.#failedUpgrades < UPGRADES_BEFORE_POLLING * this.#planes.length) throw error;
      const client = new Polling(plane, this.#owner.nodeId, (challenge) => this.#owner.greeting(challenge));
      // The first answer decides whether it is only the upgrade that does not get through.
      await this.#poll({ client, until: Date.now() + POLLING_TERM }, 0);
      this.#story.up(`, polling over HTTPS, since upgrades do not get through (${messageOf(error)})`);
    }
  }

  async #upgrade(plane: ControlPlane): Promise<void> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error('no answer to the upgrade in time')), CONNECT_TIMEOUT);
    try {
      const response = await plane.fetch('/v1/link', {
        headers: { Upgrade: 'websocket' },
        signal: abort.signal,
      });
      const socket = response.webSocket;
      if (socket === null) {
        const reason = await textAtMost(response, LONGEST_REASON).catch(() => '');
        throw new Error(`the upgrade was answered with ${response.status} ${reason}`);
      }
      let greeting: readonly FromDataPlane[];
      try {
        greeting = await this.#owner.greeting(response.headers.get(CHALLENGE_HEADER));
      } catch (error) {
        // Nobody else knows of it; one that was not accepted cannot be closed.
        socket.accept();
        socket.close(1000, 'no hello');
        throw error;
      }
      this.#open(socket, greeting);
    } finally {
      clearTimeout(timer);
    }
  }

  #open(socket: WebSocket, greeting: readonly FromDataPlane[]): void {
    this.#socket = socket;
    this.#heardAt = Date.now();
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket !== socket) return;
      this.#heardAt = Date.now();
      this.#story.up('');
      this.#receive(data);
    });
    socket.addEventListener('close', ({ code, reason }) => {
      if (this.#socket === socket) this.fail(`closed (${code} ${reason})`);
    });
    socket.addEventListener('error', ({ message }) => {
      if (this.#socket === socket) this.fail(message);
    });
    socket.accept();
    for (const message of greeting) this.send(message);
    this.#owner.wakeIn(Math.min(HEARTBEAT_DEADLINE - HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL));
  }

  async #poll(polling: { readonly client: Polling; readonly until: number }, wait?: number): Promise<void> {
    const before = this.#polling;
    const answer = await polling.client.ask(wait);
    // Given up meanwhile: what is due next has been decided.
    if (this.#polling !== before) return;
    this.#polling = Date.now() < polling.until ? polling : null;
    if (answer !== null) this.#receive(answer);
    if (since(this.#saidAt) >= HEARTBEAT_INTERVAL) this.send(this.#owner.heartbeat());
    this.#owner.wakeIn(0);
  }

  #receive(frame: unknown): void {
    try {
      if (typeof frame !== 'string') throw new TypeError('expected a text frame');
      const message = parseFromControlPlane(frame);
      if (message !== null) this.#owner.receive(message);
    } catch (error) {
      this.#owner.log('warn', `link to the control plane: a message was not understood (${messageOf(error)})`);
    }
  }
}

/** Milliseconds between then and now, whichever is first: where the clock was set back, a silence must not pass unseen. */
function since(time: number): number {
  return Math.abs(Date.now() - time);
}
