import { verify, X509Certificate } from 'node:crypto';
import type { BasicOCSPResponse, SingleResponse } from '@peculiar/asn1-ocsp';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  answerAbout,
  NoOcspAnswer,
  type OcspQuestion,
  ocspQuestion,
  readOcspAnswer,
} from '../../shared/ocsp/messages.ts';
import { responderIn } from '../../shared/ocsp/responder.ts';
import { certificatesOf } from '../../shared/pem.ts';
import { messageOf } from '../../shared/thrown.ts';
import { datesFault, extendedKeyUsage, oneLine } from '../pki/cluster-tls.ts';
import type { RevocationCheck } from './admission.ts';
import type { ClusterLog } from './mtls-server.ts';

interface RevocationOptions {
  /** `on`: no answer refuses the certificate. `optional`: it is logged, and the certificate passes. */
  readonly mode: 'on' | 'optional';
  /** PEM of `cluster_ca_cert`. Intermediates that issue certificates of data planes must stand in it too. */
  readonly ca: string;
  readonly log: ClusterLog;
}

/** Milliseconds a responder has, as in Kong. */
const TIMEOUT = 5_000;
/** Bytes. */
const LARGEST_ANSWER = 64 << 10;
/** Milliseconds an answer is used again for, when it does not expire earlier. */
const REUSE = 300_000;
/** Milliseconds clocks may differ. */
const SKEW = 300_000;
/** Milliseconds an answer without an end is taken for fresh. */
const FRESH = 86_400_000;

const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';

/** Signature algorithms responders use, by object identifier, as node:crypto names their hashes. */
const HASHES: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};

/** What a responder said. `until`: milliseconds since the epoch. */
interface Verdict {
  readonly revoked: Date | null;
  readonly until: number;
}

/**
 * `cluster_ocsp`: asks the responder that a certificate names whether it was revoked (OCSP, RFC 6960). Revoked always
 * refuses; an answer that cannot be had, or not be trusted, refuses with `on` and is only logged with `optional`.
 */
export function revocationCheck({ mode, ca, log }: RevocationOptions): RevocationCheck {
  const authorities = certificatesOf(ca).map((pem) => new X509Certificate(pem));
  const verdicts = new Map<string, Verdict>();

  async function verdictOn(leaf: X509Certificate): Promise<Verdict> {
    const known = verdicts.get(leaf.fingerprint256);
    if (known !== undefined && known.until > Date.now()) return known;
    verdicts.delete(leaf.fingerprint256);
    const issuer = authorities.find((one) => leaf.checkIssued(one) && leaf.verify(one.publicKey));
    if (issuer === undefined) throw new NoOcspAnswer('its issuer is not in cluster_ca_cert; add it to that file');
    const verdict = await ask(leaf, issuer);
    keep(leaf, verdict);
    return verdict;
  }

  /** Those that come first were kept first, and are the first to end, or nearly so. */
  function keep(leaf: X509Certificate, verdict: Verdict): void {
    for (const [fingerprint, { until }] of verdicts) {
      if (until > Date.now()) break;
      verdicts.delete(fingerprint);
    }
    verdicts.set(leaf.fingerprint256, verdict);
  }

  return async (leaf) => {
    try {
      const { revoked } = await verdictOn(leaf);
      return revoked === null ? null : `was revoked at ${revoked.toISOString()}`;
    } catch (error) {
      const detail = messageOf(error);
      const message = `its revocation status cannot be had: ${detail}`;
      if (mode === 'on') return message;
      log('warn', `client certificate '${oneLine(leaf.subject)}': ${message} (cluster_ocsp = optional: admitted)`);
      return null;
    }
  };
}

async function ask(leaf: X509Certificate, issuer: X509Certificate): Promise<Verdict> {
  const url = responderIn(leaf.infoAccess);
  if (url === null) throw new NoOcspAnswer('it names no OCSP responder');
  const question = ocspQuestion(leaf.raw, issuer.raw);
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request', accept: 'application/ocsp-response' },
    body: question.request,
    signal: AbortSignal.timeout(TIMEOUT),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new NoOcspAnswer(`${url} answered with status ${response.status}`);
  }
  return read(await bytesOf(response, url), question, issuer);
}

/** Never holds more than an answer may have. */
async function bytesOf({ body }: Response, url: string): Promise<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body ?? []) {
    size += part.byteLength;
    if (size > LARGEST_ANSWER) throw new NoOcspAnswer(`${url} answered with more than ${LARGEST_ANSWER} bytes`);
    parts.push(part);
  }
  if (size === 0) throw new NoOcspAnswer(`${url} answered with 0 bytes`);
  return new Uint8Array(Buffer.concat(parts)).buffer;
}

/** Believes an answer only when the issuer, or a responder it appointed, signed it, and only about this certificate. */
function read(answer: ArrayBuffer, question: OcspQuestion, issuer: X509Certificate): Verdict {
  const basic = readOcspAnswer(answer);
  if (!signedFor(basic, issuer)) throw new NoOcspAnswer('the answer is not signed by its issuer or in its name');
  const single = answerAbout(basic, question);
  const now = Date.now();
  const end = single.nextUpdate?.getTime() ?? single.thisUpdate.getTime() + FRESH;
  const since = single.thisUpdate;
  if (since.getTime() > now + SKEW) throw new NoOcspAnswer(`the answer is not valid before ${since.toISOString()}`);
  if (end < now - SKEW) throw new NoOcspAnswer(`the answer is of ${since.toISOString()} and no longer valid`);
  return { revoked: revocationTime(single), until: Math.min(end, now + REUSE) };
}

function revocationTime({ certStatus }: SingleResponse): Date | null {
  if (certStatus.revoked !== undefined) return certStatus.revoked.revocationTime;
  if (certStatus.good !== undefined) return null;
  throw new NoOcspAnswer('the responder does not know it');
}

function signedFor(basic: BasicOCSPResponse, issuer: X509Certificate): boolean {
  const hash = HASHES[basic.signatureAlgorithm.algorithm];
  const signed = basic.tbsResponseDataRaw;
  if (hash === undefined || signed === undefined) return false;
  const appointed = (basic.certs ?? [])
    .map((certificate) => new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))))
    .filter((one) => one.checkIssued(issuer) && one.verify(issuer.publicKey))
    .filter((one) => extendedKeyUsage(one).includes(OCSP_SIGNING) && datesFault(one, new Date()) === null);
  const signature = Buffer.from(basic.signature);
  return [issuer, ...appointed].some((one) => verify(hash, Buffer.from(signed), one.publicKey, signature));
}
