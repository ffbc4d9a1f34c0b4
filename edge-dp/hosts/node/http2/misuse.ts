import { HTTP2_ENDED } from '../../../status/host-families.ts';

/** Why a connection, or for `stalled` a stream, is ended that its client would have gone on with. */
export type MisuseKind = 'resets' | 'pings' | 'settings' | 'idle_frames' | 'stalled' | 'protocol';

const WORDS: Readonly<Record<MisuseKind, string>> = {
  resets: 'an HTTP/2 connection whose client ends streams before their answer, again and again (as in CVE-2023-44487)',
  pings: 'an HTTP/2 connection for its PING frames',
  settings: 'an HTTP/2 connection for its SETTINGS frames',
  idle_frames: 'an HTTP/2 connection for frames that carry nothing',
  stalled: 'an HTTP/2 stream whose client takes nothing of the answer',
  protocol: 'an HTTP/2 connection that does not keep to the protocol',
};

/** Milliseconds between two lines about the same. */
const PAUSE = 10_000;

/** Counts what is of the host's own making (`host-families.ts`). */
export type Count = (family: string, labels: string) => void;

/** Tells of connections that were ended: each is counted, and the log has a line at a time about each kind. */
export class Misuse {
  readonly #port: number;
  readonly #count: Count;
  readonly #told = new Map<MisuseKind, { at: number; untold: number }>();

  constructor(port: number, count: Count) {
    this.#port = port;
    this.#count = count;
  }

  tell(kind: MisuseKind, peer: string | null, details: string | null = null): void {
    this.#count(HTTP2_ENDED, `reason="${kind}"`);
    const now = performance.now();
    const before = this.#told.get(kind);
    if (before !== undefined && now - before.at < PAUSE) {
      before.untold += 1;
      return;
    }
    this.#told.set(kind, { at: now, untold: 0 });
    const others = before === undefined || before.untold === 0 ? '' : `, and ${before.untold} more since the last line`;
    const why = details === null ? WORDS[kind] : `${WORDS[kind]} (${details})`;
    console.warn(`port ${this.#port}: client ${peer ?? 'unknown'}: ended ${why}${others}`);
  }
}
