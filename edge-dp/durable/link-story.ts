/** Reasons told of one time without a link. */
const MOST_REASONS = 10;

type LinkLog = (level: 'info' | 'notice' | 'warn', message: string) => void;

/**
 * What the log says of the link: one line when it is up and one when it is down, at the same level, and each reason why it
 * cannot be made once until it is up again.
 */
export class LinkStory {
  readonly #log: LinkLog;
  readonly #told = new Set<string>();
  #up = false;

  constructor(log: LinkLog) {
    this.#log = log;
  }

  /** The control plane has answered. */
  up(how: string): void {
    if (this.#up) return;
    this.#up = true;
    this.#told.clear();
    this.#log('notice', `link to the control plane is up${how}`);
  }

  /** The connection is gone, or could not be made; `pause` are the milliseconds to the next attempt. */
  down(reason: string, pause: number): void {
    const words = inWords(reason);
    if (this.#up) this.#log('notice', `link to the control plane is down: ${words}; the config stays as it is`);
    else if (!this.#told.has(words) && this.#told.size < MOST_REASONS) {
      this.#told.add(words);
      this.#log('warn', `link to the control plane cannot be made: ${words}; it is tried on`);
    } else this.#log('info', `link to the control plane: ${words}; next attempt in ${Math.round(pause)} ms`);
    this.#up = false;
  }
}

/** The runtime tells the Worker next to nothing of a connection that failed; hosts that can find out more say so. */
function inWords(reason: string): string {
  if (/^internal error/i.test(reason)) return 'the TLS handshake failed';
  if (reason === 'Network connection lost.') return 'the connection was lost';
  if (reason.startsWith('closed (1006 ')) return 'closed without a word';
  return reason;
}
