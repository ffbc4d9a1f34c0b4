import { X509Certificate } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { certificatesOf } from '../../shared/pem.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { AcmeError } from './error.ts';
import type { AcmeAnswer } from './http.ts';
import type { AcmeSession } from './session.ts';

/** Where a challenge's answer is put for the ACME server to find. */
export interface Challenges {
  /** Resolves when every data plane can answer it. */
  publish(token: string, keyAuthorization: string): Promise<void>;
  withdraw(token: string): Promise<void>;
}

/** Milliseconds between two looks at something the server works on, unless it says how long, and for all of them. */
const LOOK = 1_000;
const LONGEST_LOOK = 30_000;
const PATIENCE = 120_000;

interface OrderOptions {
  readonly host: string;
  /** DER of the certificate request. */
  readonly request: Buffer;
  /** The common name of the issuer its chain is to end with, where the server offers several; null: the server's choice. */
  readonly preferredChain: string | null;
  /** Breaks it off. */
  readonly signal: AbortSignal;
}

/** Orders a certificate for one name by the http-01 challenge (RFC 8555 section 7.4). Gives its chain in PEM. Throws `AcmeError`. */
export async function orderCertificate(
  session: AcmeSession,
  challenges: Challenges,
  { host, request, preferredChain, signal }: OrderOptions,
): Promise<string> {
  const identifier = { type: 'dns', value: host };
  const answer = await session.post(session.place('newOrder'), { identifiers: [identifier] });
  const url = text({ location: answer.headers.get('location') }, 'location');
  const order = answer.json();
  for (const authorization of Array.isArray(order.authorizations) ? order.authorizations : []) {
    await authorize(session, challenges, String(authorization), signal);
  }
  // A server may need a moment to see that all of its authorizations are valid (section 7.4: `orderNotReady`).
  await settled(session, url, ['ready', 'valid'], `the order for ${host}`, signal);
  await session.post(text(order, 'finalize'), { csr: request.toString('base64url') });
  const done = await settled(session, url, ['valid'], `the order for ${host}`, signal);
  return chainOf(session, text(done, 'certificate'), preferredChain);
}

async function authorize(
  session: AcmeSession,
  challenges: Challenges,
  url: string,
  signal: AbortSignal,
): Promise<void> {
  const authorization = (await session.post(url, null)).json();
  if (authorization.status === 'valid') return;
  const offered = Array.isArray(authorization.challenges) ? authorization.challenges.filter(isRecord) : [];
  const challenge = offered.find(({ type }) => type === 'http-01');
  if (challenge === undefined) throw new AcmeError(`${url}: the server offers no http-01 challenge`);
  const token = text(challenge, 'token');
  // RFC 8555 section 8.3: a server that would have something else put at a path of every host is none.
  if (!/^[A-Za-z0-9_-]{1,256}$/.test(token)) throw new AcmeError(`${url}: the token is not in base64url`);
  await challenges.publish(token, session.keyAuthorization(token));
  try {
    await session.post(text(challenge, 'url'), {});
    await settled(session, url, ['valid'], 'the challenge', signal);
  } finally {
    await challenges.withdraw(token);
  }
}

/** Looks again until the server has made up its mind. */
async function settled(
  session: AcmeSession,
  url: string,
  good: readonly string[],
  what: string,
  signal: AbortSignal,
): Promise<Readonly<Row>> {
  for (const end = Date.now() + PATIENCE; ; ) {
    const answer = await session.post(url, null);
    const state = answer.json();
    if (good.includes(String(state.status))) return state;
    if (state.status !== 'pending' && state.status !== 'processing' && state.status !== 'ready') {
      throw new AcmeError(`${what} is ${state.status}: ${reasonOf(state)}`);
    }
    if (Date.now() > end) throw new AcmeError(`${what} is still ${state.status} after ${PATIENCE / 1000} s`);
    await pause(waitOf(answer), undefined, { signal });
  }
}

function waitOf({ headers }: AcmeAnswer): number {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds * 1000, LOOK), LONGEST_LOOK) : LOOK;
}

/** The problem of an order, or of the challenge that failed. */
function reasonOf(state: Readonly<Row>): string {
  const challenges = Array.isArray(state.challenges) ? state.challenges.filter(isRecord) : [];
  const problem = [state.error, ...challenges.map(({ error }) => error)].find(isRecord);
  return problem === undefined ? 'the server does not say why' : `${problem.type}: ${problem.detail}`;
}

/** Downloads the chain, and others that are offered until one ends as it should (RFC 8555 section 7.4.2). */
async function chainOf(session: AcmeSession, url: string, preferred: string | null): Promise<string> {
  const first = await session.post(url, null, CHAIN);
  if (preferred !== null && !endsWith(first.text, preferred)) {
    for (const link of first.headers.all('link').flatMap((line) => line.split(/,\s*(?=<)/))) {
      const [, alternate] = /^<([^>]+)>\s*;.*\brel="?alternate"?/.exec(link) ?? [];
      if (alternate === undefined) continue;
      const other = await session.post(alternate, null, CHAIN);
      if (endsWith(other.text, preferred)) return other.text;
    }
  }
  if (certificatesOf(first.text).length === 0) throw new AcmeError(`${url}: the answer holds no certificate`);
  return first.text;
}

const CHAIN = 'application/pem-certificate-chain';

function endsWith(chain: string, issuer: string): boolean {
  const last = certificatesOf(chain).at(-1);
  return last !== undefined && new X509Certificate(last).issuer.split('\n').includes(`CN=${issuer}`);
}

function text(read: Readonly<Row>, member: string): string {
  const value = read[member];
  if (typeof value !== 'string') throw new AcmeError(`the ACME server's answer has no ${member}`);
  return value;
}
