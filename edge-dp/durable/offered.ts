/**
 * How far this node knows the control planes to be: the serial of the newest genuine manifest that came. One that says it is
 * further, but offers nothing, keeps config from this node, or somebody between does: that is told, once for as long as it is so.
 */
export class Offered {
  readonly #warn: (message: string) => void;
  #serial = -1;
  #claimed = -1;
  /** The control plane has said that it withholds config, and why. */
  #withheld = false;
  /** Null: nothing is kept back that is known of. */
  #keptBack: string | null = null;

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** Why this node does not have the newest config, when a control plane claims more than it offers. */
  get keptBack(): string | null {
    return this.#keptBack;
  }

  /** What another control plane said, or this one on an earlier connection, is over. */
  connects(): void {
    this.#withheld = false;
  }

  /** A genuine manifest came, whether it could be used or not. Null: one that was not genuine. */
  came(serial: number | null): void {
    if (serial === null) return;
    this.#withheld = false;
    this.#serial = Math.max(this.#serial, serial);
    if (this.#serial >= this.#claimed) this.#keptBack = null;
  }

  withheld(): void {
    this.#withheld = true;
  }

  /** What a heartbeat says. */
  claimed(serial: number | null): void {
    if (serial === null || serial <= this.#serial || this.#withheld) {
      this.#keptBack = null;
      return;
    }
    this.#claimed = serial;
    if (this.#keptBack !== null) return;
    const last = this.#serial < 0 ? 'it offered none yet' : `the newest it offered is serial ${this.#serial}`;
    this.#keptBack = `the control plane says that it is at serial ${serial}, but ${last}: it, or somebody between, keeps config from this node`;
    this.#warn(this.#keptBack);
  }
}
