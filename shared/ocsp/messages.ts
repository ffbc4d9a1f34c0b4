import { sha1 } from '@noble/hashes/legacy.js';
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

/** What a responder is asked about a certificate (RFC 6960). */
export interface OcspQuestion {
  readonly id: CertID;
  /** DER. */
  readonly request: ArrayBuffer;
}

/** No answer, or none to the question; the message says why. */
export class NoOcspAnswer extends Error {
  override readonly name = 'NoOcspAnswer';
}

type Bytes = ArrayBuffer | Uint8Array<ArrayBuffer>;

const SHA1 = '1.3.14.3.2.26';

/** The question about a certificate; both in DER. Throws for what is no certificate. */
export function ocspQuestion(certificate: Bytes, issuer: Bytes): OcspQuestion {
  const { tbsCertificate: own } = AsnConvert.parse(certificate, Certificate);
  const { tbsCertificate: its } = AsnConvert.parse(issuer, Certificate);
  const id = new CertID({
    hashAlgorithm: new AlgorithmIdentifier({ algorithm: SHA1, parameters: null }),
    issuerNameHash: new OctetString(sha1(new Uint8Array(AsnConvert.serialize(own.issuer)))),
    issuerKeyHash: new OctetString(sha1(new Uint8Array(its.subjectPublicKeyInfo.subjectPublicKey))),
    serialNumber: own.serialNumber,
  });
  const request = new OCSPRequest({ tbsRequest: new TBSRequest({ requestList: [new Request({ reqCert: id })] }) });
  return { id, request: AsnConvert.serialize(request) };
}

/** What a responder sent, taken apart and not yet believed. Throws `NoOcspAnswer`, or what reading DER throws. */
export function readOcspAnswer(answer: Bytes): BasicOCSPResponse {
  const { responseStatus, responseBytes } = AsnConvert.parse(answer, OCSPResponse);
  if (responseStatus !== OCSPResponseStatus.successful || responseBytes?.responseType !== id_pkix_ocsp_basic)
    throw new NoOcspAnswer(`the responder refused to say (status ${responseStatus})`);
  return AsnConvert.parse(responseBytes.response, BasicOCSPResponse);
}

/** What it says of the certificate asked about. Throws `NoOcspAnswer`. */
export function answerAbout({ tbsResponseData }: BasicOCSPResponse, { id }: OcspQuestion): SingleResponse {
  const single = tbsResponseData.responses.find(({ certID }) => sameId(certID, id));
  if (single === undefined) throw new NoOcspAnswer('the answer is about another certificate');
  return single;
}

function sameId(a: CertID, b: CertID): boolean {
  return (
    sameBytes(a.serialNumber, b.serialNumber) &&
    sameBytes(a.issuerNameHash.buffer, b.issuerNameHash.buffer) &&
    sameBytes(a.issuerKeyHash.buffer, b.issuerKeyHash.buffer)
  );
}

function sameBytes(a: ArrayBuffer, b: ArrayBuffer): boolean {
  const [one, other] = [new Uint8Array(a), new Uint8Array(b)];
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
