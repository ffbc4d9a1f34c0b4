/**
 * How far this node knows the control planes to be: the serial of the newest genuine manifest that came. One that says it is
 * further, but offers nothing, keeps config from this node, or somebody between does: that is told, once for as long as it is so.
 */
export class Offered {
  readonly #warn: (message: string) => void;
  #serial = -1;
  /** The control plane has said that it withholds config, and why. */
  #withheld = false;
  #told = false;

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /** A genuine manifest came, whether it could be used or not. Null: one that was not genuine. */
  came(serial: number | null): void {
    if (serial === null) return;
    this.#withheld = false;
    this.#serial = Math.max(this.#serial, serial);
  }

  withheld(): void {
    this.#withheld = true;
  }

  /** What a heartbeat says. */
  claimed(serial: number | null): void {
    if (serial === null || serial <= this.#serial || this.#withheld) {
      this.#told = false;
      return;
    }
    if (this.#told) return;
    this.#told = true;
    const last = this.#serial < 0 ? 'it offered none yet' : `the newest it offered is serial ${this.#serial}`;
    this.#warn(
      `the control plane says that it is at serial ${serial}, but ${last}: it, or somebody between, keeps config from this node`,
    );
  }
}
