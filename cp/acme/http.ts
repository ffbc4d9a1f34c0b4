import { rootCertificates } from 'node:tls';
import { Agent, request } from 'undici';
import { isRecord, type Row } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Trust } from '../pki/trust.ts';
import { AcmeError } from './error.ts';

/** Milliseconds for an answer of an ACME server, and bytes of one: a chain of certificates is the longest. */
const TIMEOUT = 30_000;
const LONGEST = 1 << 20;

/** An answer below 400. */
export interface AcmeAnswer {
  readonly headers: { get(name: string): string | null; all(name: string): readonly string[] };
  readonly text: string;
  /** Throws `AcmeError` when it is no JSON object. */
  json(): Readonly<Row>;
}

/** HTTPS to ACME servers. */
export class AcmeHttp {
  readonly #agent: Agent;

  /** `trust`: by what their certificates are verified. */
  constructor({ publicCas, certificates }: Trust) {
    const ca = [...(publicCas ? rootCertificates : []), ...certificates];
    this.#agent = new Agent({
      connect: { ca },
      maxResponseSize: LONGEST,
      headersTimeout: TIMEOUT,
      bodyTimeout: TIMEOUT,
    });
  }

  /** Throws `AcmeError`, with the server's problem (RFC 8555 section 6.7) where it says one. */
  async send(method: 'GET' | 'HEAD' | 'POST', url: string, body: string | null, accept?: string): Promise<AcmeAnswer> {
    const headers = {
      'user-agent': 'holdfast',
      ...(body !== null && { 'content-type': 'application/jose+json' }),
      ...(accept !== undefined && { accept }),
    };
    try {
      const answer = await request(url, { method, headers, body, dispatcher: this.#agent });
      const text = await answer.body.text();
      const fields = new Map(Object.entries(answer.headers));
      const all = (name: string): readonly string[] => [fields.get(name) ?? []].flat();
      const read: AcmeAnswer = {
        headers: { get: (name) => all(name)[0] ?? null, all },
        text,
        json: () => objectOf(text, url),
      };
      if (answer.statusCode < 400) return read;
      throw problem(answer.statusCode, read, url);
    } catch (error) {
      if (error instanceof AcmeError) throw error;
      throw new AcmeError(`${url}: ${messageOf(error)}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function problem(status: number, { text, headers }: AcmeAnswer, url: string): AcmeError {
  const problem = parsed(text);
  const type = isRecord(problem) && typeof problem.type === 'string' ? problem.type : null;
  const detail = isRecord(problem) && typeof problem.detail === 'string' ? problem.detail : text.slice(0, 200);
  return new AcmeError(`${url}: ${status} ${type === null ? '' : `${type}: `}${detail}`, {
    type,
    nonce: headers.get('replay-nonce'),
  });
}

function objectOf(text: string, url: string): Readonly<Row> {
  const value = parsed(text);
  if (!isRecord(value)) throw new AcmeError(`${url}: the answer is no JSON object: ${text.slice(0, 200)}`);
  return value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
