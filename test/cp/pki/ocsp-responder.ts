import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import {
  BasicOCSPResponse,
  CertStatus,
  id_pkix_ocsp_basic,
  KeyHash,
  OCSPRequest,
  OCSPResponse,
  OCSPResponseStatus,
  ResponderID,
  ResponseBytes,
  ResponseData,
  SingleResponse,
  Version,
} from '@peculiar/asn1-ocsp';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, Certificate } from '@peculiar/asn1-x509';
import { crypto } from '../../../cp/pki/crypto-provider.ts';
import { once } from '../../once.ts';
import type { Authority } from './authority.ts';

const ECDSA_SHA256 = '1.2.840.10045.4.3.2';

/** What a responder says. */
export interface Behaviour {
  readonly status?: CertStatus;
  readonly signer?: Pick<Authority, 'certificate' | 'keys'>;
  /** The signer's certificate stands in the answer. */
  readonly appointed?: boolean;
  readonly age?: number;
  /** Milliseconds the answer is valid for; null: it does not say. */
  readonly validity?: number | null;
  readonly http?: number;
  readonly otherSerial?: boolean;
  /** It answers then. */
  readonly after?: Promise<unknown>;
  /** Answers without an end. */
  readonly endless?: boolean;
}

/** A running OCSP responder. */
export interface Responder {
  readonly url: string;
  /** How often it was asked. */
  readonly asked: number;
  stop(): void;
}

/** A minimal OCSP responder over a CA key, signing what `next` says at each question. */
export async function startResponder(ca: Authority, next: () => Behaviour): Promise<Responder> {
  let asked = 0;
  const server = createServer(async (request, response) => {
    asked++;
    const behaviour = next();
    await behaviour.after;
    if (behaviour.endless) {
      response.writeHead(200, { 'content-type': 'application/ocsp-response' });
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(16 << 10)));
      };
      response.on('drain', more);
      more();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const parsed = AsnConvert.parse(Buffer.concat(chunks), OCSPRequest);
    const certID = parsed.tbsRequest.requestList[0]?.reqCert;
    if (certID === undefined) throw new Error('no certificate asked about');
    if (behaviour.otherSerial) certID.serialNumber = new Uint8Array([1, 2, 3]).buffer;
    const { signer = ca, validity = 3_600_000 } = behaviour;
    const thisUpdate = new Date(Date.now() - (behaviour.age ?? 0));
    const spki = AsnConvert.parse(signer.certificate.rawData, Certificate).tbsCertificate.subjectPublicKeyInfo;
    const data = new ResponseData({
      version: Version.v1,
      responderID: new ResponderID({
        byKey: new KeyHash(createHash('sha1').update(Buffer.from(spki.subjectPublicKey)).digest()),
      }),
      producedAt: thisUpdate,
      responses: [
        new SingleResponse({
          certID,
          certStatus: behaviour.status ?? new CertStatus({ good: null }),
          thisUpdate,
          ...(validity === null ? {} : { nextUpdate: new Date(thisUpdate.getTime() + validity) }),
        }),
      ],
    });
    const raw = await crypto.subtle.sign(
      { name: 'ECDSA', hash: 'SHA-256' },
      signer.keys.privateKey,
      AsnConvert.serialize(data),
    );
    const basic = new BasicOCSPResponse({
      tbsResponseData: data,
      signatureAlgorithm: new AlgorithmIdentifier({ algorithm: ECDSA_SHA256 }),
      signature: derSignature(new Uint8Array(raw)),
      ...(behaviour.appointed === true && { certs: [AsnConvert.parse(signer.certificate.rawData, Certificate)] }),
    });
    const answer = new OCSPResponse({
      responseStatus: OCSPResponseStatus.successful,
      responseBytes: new ResponseBytes({
        responseType: id_pkix_ocsp_basic,
        response: new OctetString(AsnConvert.serialize(basic)),
      }),
    });
    response.writeHead(behaviour.http ?? 200, { 'content-type': 'application/ocsp-response' });
    response.end(Buffer.from(AsnConvert.serialize(answer)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not bound');
  return {
    url: `http://127.0.0.1:${address.port}/ocsp`,
    get asked() {
      return asked;
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** WebCrypto gives r and s; X.509 wants them as a DER sequence. */
function derSignature(raw: Uint8Array): ArrayBuffer {
  const integer = (bytes: Uint8Array) => {
    const trimmed = Buffer.from(bytes.subarray(bytes.findIndex((byte) => byte !== 0)));
    const padded = (trimmed[0] ?? 0) > 127 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed;
    return Buffer.concat([Buffer.from([2, padded.length]), padded]);
  };
  const both = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return new Uint8Array(Buffer.concat([Buffer.from([0x30, both.length]), both])).buffer;
}
