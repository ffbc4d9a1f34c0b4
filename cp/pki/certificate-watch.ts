import type { Log } from '../instance/log.ts';
import { type CertificateInUse, datesNotice } from './certificate-dates.ts';

/** Milliseconds. */
const HOUR = 3_600_000;

/** Tells, at once and then whenever there is more to say, which certificates expire soon or have expired. */
export class CertificateWatch {
  readonly #log: Log;
  readonly #now: () => Date;
  readonly #told = new Set<string>();
  #certificates: readonly CertificateInUse[] = [];
  readonly #timer = setInterval(() => this.check(), HOUR).unref();

  constructor(log: Log, now: () => Date = () => new Date()) {
    this.#log = log;
    this.#now = now;
  }

  /** The certificates in use are these now. */
  watch(certificates: readonly CertificateInUse[]): void {
    this.#certificates = certificates;
    this.#told.clear();
    this.check();
  }

  check(): void {
    for (const certificate of this.#certificates) {
      const notice = datesNotice(certificate, this.#now());
      // The words change once a day.
      if (notice === null || this.#told.has(notice.message)) continue;
      this.#told.add(notice.message);
      this.#log(notice.level, notice.message);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
