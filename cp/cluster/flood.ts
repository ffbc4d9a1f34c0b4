import { MOST } from '../../shared/cluster/bounds.ts';
import { HEARTBEAT_INTERVAL } from '../../shared/cluster/messages.ts';

/** Counts what one data plane says, whichever form of the link it uses. */
export class Flood {
  #since = Date.now();
  #messages = 0;
  #bytes = 0;

  /** True when the data plane says more than anyone has to say. */
  counts(bytes: number, now = Date.now()): boolean {
    if (Math.abs(now - this.#since) > HEARTBEAT_INTERVAL) {
      this.#since = now;
      this.#messages = 0;
      this.#bytes = 0;
    }
    this.#messages++;
    this.#bytes += bytes;
    return this.#messages > MOST.messages || this.#bytes > MOST.bytes;
  }
}

/** What the data plane is told then. */
export const FLOODING = `more than ${MOST.messages} messages or ${MOST.bytes >> 20} MB in ${HEARTBEAT_INTERVAL / 1000} seconds`;
