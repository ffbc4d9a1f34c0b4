import { createHash, verify, X509Certificate } from 'node:crypto';
import {
  BasicOCSPResponse,
  CertID,
  id_pkix_ocsp_basic,
  OCSPRequest,
  OCSPResponse,
  OCSPResponseStatus,
  Request,
  type SingleResponse,
  TBSRequest,
} from '@peculiar/asn1-ocsp';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, Certificate } from '@peculiar/asn1-x509';
import { messageOf } from '../../shared/thrown.ts';
import { datesFault, extendedKeyUsage, oneLine } from '../pki/cluster-tls.ts';
import { certificatesOf } from '../pki/pem.ts';
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

const SHA1 = '1.3.14.3.2.26';
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

/** No trustworthy answer about a certificate; the message says why. */
class Unobtainable extends Error {
  override readonly name = 'Unobtainable';
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
    if (issuer === undefined) throw new Unobtainable('its issuer is not in cluster_ca_cert; add it to that file');
    const verdict = await ask(leaf, issuer);
    verdicts.set(leaf.fingerprint256, verdict);
    return verdict;
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
  const url = /OCSP - URI:(https?:\S+)/.exec(leaf.infoAccess ?? '')?.[1];
  if (url === undefined) throw new Unobtainable('it names no OCSP responder');
  const id = certificateId(leaf, issuer);
  const request = new OCSPRequest({ tbsRequest: new TBSRequest({ requestList: [new Request({ reqCert: id })] }) });
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request', accept: 'application/ocsp-response' },
    body: AsnConvert.serialize(request),
    signal: AbortSignal.timeout(TIMEOUT),
  });
  if (response.status !== 200) throw new Unobtainable(`${url} answered with status ${response.status}`);
  const answer = await response.arrayBuffer();
  if (answer.byteLength === 0 || answer.byteLength > LARGEST_ANSWER) {
    throw new Unobtainable(`${url} answered with ${answer.byteLength} bytes`);
  }
  return read(answer, id, issuer);
}

function certificateId(leaf: X509Certificate, issuer: X509Certificate): CertID {
  const { tbsCertificate: own } = AsnConvert.parse(leaf.raw, Certificate);
  const { tbsCertificate: its } = AsnConvert.parse(issuer.raw, Certificate);
  return new CertID({
    hashAlgorithm: new AlgorithmIdentifier({ algorithm: SHA1, parameters: null }),
    issuerNameHash: new OctetString(sha1(AsnConvert.serialize(own.issuer))),
    issuerKeyHash: new OctetString(sha1(its.subjectPublicKeyInfo.subjectPublicKey)),
    serialNumber: own.serialNumber,
  });
}

/** Believes an answer only when the issuer, or a responder it appointed, signed it, and only about this certificate. */
function read(answer: ArrayBuffer, id: CertID, issuer: X509Certificate): Verdict {
  const { responseStatus, responseBytes } = AsnConvert.parse(answer, OCSPResponse);
  if (responseStatus !== OCSPResponseStatus.successful || responseBytes?.responseType !== id_pkix_ocsp_basic) {
    throw new Unobtainable(`the responder refused to say (status ${responseStatus})`);
  }
  const basic = AsnConvert.parse(responseBytes.response, BasicOCSPResponse);
  if (!signedFor(basic, issuer)) throw new Unobtainable('the answer is not signed by its issuer or in its name');
  const single = basic.tbsResponseData.responses.find((one) => sameId(one.certID, id));
  if (single === undefined) throw new Unobtainable('the answer is about another certificate');
  const now = Date.now();
  const end = single.nextUpdate?.getTime() ?? single.thisUpdate.getTime() + FRESH;
  const since = single.thisUpdate;
  if (since.getTime() > now + SKEW) throw new Unobtainable(`the answer is not valid before ${since.toISOString()}`);
  if (end < now - SKEW) throw new Unobtainable(`the answer is of ${since.toISOString()} and no longer valid`);
  return { revoked: revocationTime(single), until: Math.min(end, now + REUSE) };
}

function revocationTime({ certStatus }: SingleResponse): Date | null {
  if (certStatus.revoked !== undefined) return certStatus.revoked.revocationTime;
  if (certStatus.good !== undefined) return null;
  throw new Unobtainable('the responder does not know it');
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

function sameId(a: CertID, b: CertID): boolean {
  return (
    Buffer.from(a.serialNumber).equals(Buffer.from(b.serialNumber)) &&
    Buffer.from(a.issuerNameHash.buffer).equals(Buffer.from(b.issuerNameHash.buffer)) &&
    Buffer.from(a.issuerKeyHash.buffer).equals(Buffer.from(b.issuerKeyHash.buffer))
  );
}

function sha1(bytes: ArrayBuffer): Buffer {
  return createHash('sha1').update(Buffer.from(bytes)).digest();
}
