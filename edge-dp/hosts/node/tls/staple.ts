import { messageOf } from '../../../../shared/thrown.ts';
import { answerTo, type OcspQuestion, questionOf } from './ocsp.ts';

/** Milliseconds until an answer is asked for again, as nginx does: one that was good, and after a failure. */
const REFRESH = 3_600_000;
const AGAIN = 300_000;
/** Before an answer ends another one is to be there. */
const BEFORE_END = 300_000;
const TIMEOUT = 10_000;
const LONGEST = 64 << 10;

/**
 * What an OCSP responder says of a certificate, to be shown with it (RFC 6066 section 8). It is asked when a client wants to
 * know, and no client waits for it: who comes first is shown none.
 */
export class Staple {
  readonly #question: OcspQuestion | null;
  readonly #name: string;
  #bytes: Buffer | null = null;
  #until = 0;
  #askAt = 0;
  #asking = false;

  /** `chain`: PEM. `name`: for the log. */
  constructor(chain: string, name: string) {
    this.#name = name;
    const question = questionOf(chain);
    this.#question = typeof question === 'string' ? null : question;
    if (typeof question === 'string')
      console.warn(`no OCSP answers are shown with the certificate ${name}: ${question}`);
  }

  /** Null: there is none to show. */
  get current(): Buffer | null {
    const now = Date.now();
    if (now >= this.#askAt) void this.#ask();
    return now < this.#until ? this.#bytes : null;
  }

  async #ask(): Promise<void> {
    if (this.#question === null || this.#asking) return;
    this.#asking = true;
    try {
      const bytes = await fetched(this.#question);
      const answer = answerTo(this.#question, bytes);
      if (typeof answer === 'string') throw new Error(answer);
      const until = answer.until ?? Date.now() + REFRESH;
      if (until <= Date.now()) throw new Error('the answer is out of date');
      this.#bytes = Buffer.from(bytes);
      this.#until = until;
      this.#askAt = Math.max(Date.now() + AGAIN, Math.min(Date.now() + REFRESH, until - BEFORE_END));
    } catch (error) {
      this.#askAt = Date.now() + AGAIN;
      console.warn(`OCSP for the certificate ${this.#name}: ${this.#question.url}: ${messageOf(error)}`);
    } finally {
      this.#asking = false;
    }
  }
}

async function fetched({ url, request }: OcspQuestion): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url, {
    method: 'POST',
    body: request,
    headers: { 'content-type': 'application/ocsp-request' },
    signal: AbortSignal.timeout(TIMEOUT),
  });
  if (!response.ok || response.body === null) throw new Error(`answered with ${response.status}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body) {
    size += part.byteLength;
    if (size > LONGEST) throw new Error(`an answer of more than ${LONGEST} bytes`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
