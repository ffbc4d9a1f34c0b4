import type { FromDataPlane, Rejected } from '../../shared/cluster/messages.ts';
import { fittingReason } from './fitting.ts';

interface RefusalsOptions {
  readonly send: (message: FromDataPlane) => void;
  readonly connected: () => boolean;
  readonly warn: (message: string) => void;
}

/** Refusals kept for a control plane that cannot be reached now. */
const MOST = 32;

/** The config this node has refused, as the control plane is to know it: at once, or once the link is up. */
export class Refusals {
  readonly #options: RefusalsOptions;
  #waiting: Rejected[] = [];
  /** Reasons isolates have told since the config changed last. */
  readonly #reported = new Set<string>();
  /** The control plane answered the hello with something, and we it. */
  #settled = false;
  #count = 0;

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** All of them since this began. */
  get count(): number {
    return this.#count;
  }

  /** Another connection begins. */
  greeted(): void {
    this.#settled = false;
  }

  /** Other config is in force: what isolates find wrong with that is new. */
  changed(): void {
    this.#reported.clear();
  }

  /** Several isolates find the same damage, each as often as it looks. */
  reported(serial: number | null, reason: string): void {
    if (this.#reported.has(reason)) return;
    this.#reported.add(reason);
    this.tell(serial, reason);
  }

  tell(serial: number | null, reason: string): void {
    const { send, connected, warn } = this.#options;
    this.#count++;
    warn(`config refused: ${reason}`);
    const rejected: Rejected = { type: 'rejected', serial, reason: fittingReason(reason) };
    if (connected() && this.#settled) send(rejected);
    else this.#waiting = [...this.#waiting.filter((other) => other.reason !== reason), rejected].slice(-MOST);
  }

  /** What was refused before the link was up is told after the first ACK, which would wipe it from the registry. */
  settle(): void {
    this.#settled = true;
    for (const rejected of this.#waiting.splice(0)) this.#options.send(rejected);
  }
}
