/** What all connections read into: who takes a part copies what it keeps, since the next read of any connection overwrites it. */
const BUFFER = Buffer.allocUnsafeSlow(64 << 10);

/**
 * The reads of one TCP connection as they come from the system, without a buffer for each and without a stream in between: for
 * `onread` of `net.connect`. The socket itself has no data then; its other events, `pause` and `resume` are as ever.
 */
export class DirectReads {
  #take: ((part: Buffer) => void) | null = null;
  /** What came before somebody took it. */
  #early: Buffer | null = null;

  readonly options = {
    buffer: BUFFER,
    callback: (size: number): boolean => {
      const part = BUFFER.subarray(0, size);
      if (this.#take === null) this.#early = Buffer.concat([this.#early ?? EMPTY, part]);
      else this.#take(part);
      return true;
    },
  };

  /** `take` gets all that comes. */
  attach(take: (part: Buffer) => void): void {
    this.#take = take;
    const early = this.#early;
    this.#early = null;
    if (early !== null) take(early);
  }
}

const EMPTY = Buffer.alloc(0);
