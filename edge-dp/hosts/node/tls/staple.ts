import { X509Certificate } from 'node:crypto';
import type { OcspQuestion } from '../../../../shared/ocsp/messages.ts';
import { responderIn } from '../../../../shared/ocsp/responder.ts';
import { certificatesOf } from '../../../../shared/pem.ts';
import { messageOf } from '../../../../shared/thrown.ts';

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
  /** Whom to ask about which certificate of which issuer; null: nobody can be asked. */
  readonly #about: About | null;
  readonly #name: string;
  #bytes: Buffer | null = null;
  #until = 0;
  #askAt = 0;
  #asking = false;

  /** `chain`: PEM. `name`: for the log. */
  constructor(chain: string, name: string) {
    this.#name = name;
    const about = aboutFirstOf(chain);
    this.#about = typeof about === 'string' ? null : about;
    if (typeof about === 'string') console.warn(`no OCSP answers are shown with the certificate ${name}: ${about}`);
  }

  /** Null: there is none to show. */
  get current(): Buffer | null {
    const now = Date.now();
    if (now >= this.#askAt) void this.#ask();
    return now < this.#until ? this.#bytes : null;
  }

  async #ask(): Promise<void> {
    if (this.#about === null || this.#asking) return;
    this.#asking = true;
    const { url, certificate, issuer } = this.#about;
    try {
      // Most nodes never need it.
      const { answerAbout, ocspQuestion, readOcspAnswer } = await import('../../../../shared/ocsp/messages.ts');
      const question = ocspQuestion(certificate, issuer);
      const bytes = await fetched(url, question);
      const { certStatus, nextUpdate } = answerAbout(readOcspAnswer(bytes), question);
      if (certStatus.good === undefined) throw new Error('the certificate is not good');
      // Without an end there may be a newer answer at any time.
      const until = nextUpdate?.getTime() ?? Date.now() + REFRESH;
      if (until <= Date.now()) throw new Error('the answer is out of date');
      this.#bytes = Buffer.from(bytes);
      this.#until = until;
      this.#askAt = Math.max(Date.now() + AGAIN, Math.min(Date.now() + REFRESH, until - BEFORE_END));
    } catch (error) {
      this.#askAt = Date.now() + AGAIN;
      console.warn(`OCSP for the certificate ${this.#name}: ${url}: ${messageOf(error)}`);
    } finally {
      this.#asking = false;
    }
  }
}

interface About {
  readonly url: string;
  /** DER. */
  readonly certificate: Buffer<ArrayBuffer>;
  readonly issuer: Buffer<ArrayBuffer>;
}

/** A text: why nobody can be asked about the first certificate of a chain. */
function aboutFirstOf(chain: string): About | string {
  const [leaf, issuer] = certificatesOf(chain).map((pem) => new X509Certificate(pem));
  if (leaf === undefined) return 'there is no certificate';
  const url = responderIn(leaf.infoAccess);
  if (url === null) return 'it names no responder';
  if (issuer === undefined) return 'its chain lacks the certificate of its issuer';
  return { url, certificate: leaf.raw, issuer: issuer.raw };
}

async function fetched(url: string, { request }: OcspQuestion): Promise<Uint8Array<ArrayBuffer>> {
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
