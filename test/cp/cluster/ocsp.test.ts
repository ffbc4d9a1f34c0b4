import { createHash, X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
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
  RevokedInfo,
  SingleResponse,
  Version,
} from '@peculiar/asn1-ocsp';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, Certificate } from '@peculiar/asn1-x509';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { revocationCheck } from '../../../cp/cluster/ocsp.ts';
import { loadClusterTls } from '../../../cp/pki/cluster-tls.ts';
import { crypto } from '../../../cp/pki/crypto-provider.ts';
import { once } from '../../once.ts';
import { type Authority, authority } from '../pki/authority.ts';
import { type ClientTls, type ControlPlane, call, NODE_ID, startControlPlane } from './control-plane.ts';

const ECDSA_SHA256 = '1.2.840.10045.4.3.2';

/** What the responder says next. */
interface Behaviour {
  readonly status?: CertStatus;
  readonly signer?: Pick<Authority, 'certificate' | 'keys'>;
  /** The signer's certificate stands in the answer. */
  readonly appointed?: boolean;
  readonly age?: number;
  /** Milliseconds the answer is valid for; null: it does not say. */
  readonly validity?: number | null;
  readonly http?: number;
  readonly otherSerial?: boolean;
}

let behaviour: Behaviour = {};
let asked = 0;
let responder: Server;
let url = '';
let root: Authority;

/** A minimal OCSP responder over a CA key, signing what `behaviour` says. */
beforeAll(async () => {
  root = await authority('cluster root');
  responder = createServer(async (request, response) => {
    asked++;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const parsed = AsnConvert.parse(Buffer.concat(chunks), OCSPRequest);
    const certID = parsed.tbsRequest.requestList[0]?.reqCert;
    if (certID === undefined) throw new Error('no certificate asked about');
    if (behaviour.otherSerial) certID.serialNumber = new Uint8Array([1, 2, 3]).buffer;
    const { signer = root, validity = 3_600_000 } = behaviour;
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
  responder.listen(0, '127.0.0.1');
  await once(responder, 'listening');
  const address = responder.address();
  if (address === null || typeof address === 'string') throw new Error('not bound');
  url = `http://127.0.0.1:${address.port}/ocsp`;
});
afterAll(() => {
  responder.close();
  responder.closeAllConnections();
});
afterEach(() => {
  behaviour = {};
});

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

const revoked = () =>
  new CertStatus({ revoked: new RevokedInfo({ revocationTime: new Date('2026-01-02T03:04:05Z') }) });
const leafOf = async (options: { ocsp?: string } = { ocsp: url }) =>
  new X509Certificate((await root.leaf({ name: 'dp', usages: ['clientAuth'], ...options })).cert);

function check(mode: 'on' | 'optional', lines: string[] = []) {
  return revocationCheck({ mode, ca: root.pem, log: (_, message) => lines.push(message) });
}

describe('the revocation check', () => {
  test('passes a good certificate, and does not ask again at once', async () => {
    const checking = check('on');
    const leaf = await leafOf();
    const before = asked;
    expect([await checking(leaf), await checking(leaf)]).toEqual([null, null]);
    expect(asked - before).toBe(1);
  });

  test('asks again after five minutes, however long the answer is good for', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const checking = check('on');
    const leaf = await leafOf();
    const before = asked;
    behaviour = { validity: 3_600_000 };
    expect(await checking(leaf)).toBeNull();
    behaviour = { validity: 3_600_000, status: revoked() };
    vi.setSystemTime(Date.now() + 299_000);
    expect(await checking(leaf)).toBeNull();
    vi.setSystemTime(Date.now() + 2_000);
    expect(await checking(leaf)).toContain('was revoked at');
    expect(asked - before).toBe(2);
  });

  test('refuses a revoked certificate in both modes', async () => {
    behaviour = { status: revoked() };
    for (const mode of ['on', 'optional'] as const) {
      expect(await check(mode)(await leafOf())).toBe('was revoked at 2026-01-02T03:04:05.000Z');
    }
  });

  test('refuses an answer that cannot be had or trusted when it must be had, and only logs it when optional', async () => {
    const stranger = await authority('cluster root');
    const cases: [Behaviour, string | undefined, string][] = [
      [{}, undefined, 'names no OCSP responder'],
      [{}, 'http://127.0.0.1:1/', 'cannot be had'],
      [{ http: 500 }, url, 'answered with status 500'],
      [{ signer: stranger }, url, 'not signed by its issuer'],
      [{ signer: stranger, status: revoked() }, url, 'not signed by its issuer'],
      [{ age: 86_400_000 }, url, 'no longer valid'],
      [{ age: -3_600_000 }, url, 'is not valid before'],
      [{ age: 90_000_000, validity: null }, url, 'no longer valid'],
      [{ otherSerial: true }, url, 'about another certificate'],
      [{ status: new CertStatus({ unknown: null }) }, url, 'does not know it'],
    ];
    for (const [next, ocsp, reason] of cases) {
      behaviour = next;
      const leaf = await leafOf(ocsp === undefined ? {} : { ocsp });
      expect(await check('on')(leaf)).toContain(reason);
      const lines: string[] = [];
      expect(await check('optional', lines)(leaf)).toBeNull();
      expect(lines).toEqual([expect.stringContaining(reason)]);
    }
  });
});

describe('a responder that is not the issuer itself', () => {
  test('is believed when the issuer appointed it', async () => {
    behaviour = { signer: await root.leaf({ usages: ['ocspSigning'] }), appointed: true };
    expect(await check('on')(await leafOf())).toBeNull();
    behaviour = { ...behaviour, status: revoked() };
    expect(await check('optional')(await leafOf())).toContain('was revoked at');
  });

  test('is not believed when someone else appointed it, or it was appointed for something else', async () => {
    const signers = [
      // A data plane's own certificate: else any of them could vouch for a revoked one.
      await root.leaf({ usages: ['clientAuth'] }),
      await root.leaf({ usages: ['ocspSigning'], notAfter: new Date(Date.now() - 1000) }),
      await (await root.intermediate('below')).leaf({ usages: ['ocspSigning'] }),
      await (await authority('cluster root')).leaf({ usages: ['ocspSigning'] }),
    ];
    for (const signer of signers) {
      behaviour = { signer, appointed: true };
      expect(await check('on')(await leafOf())).toContain('not signed by its issuer or in its name');
    }
    // Appointed, but its certificate is not shown.
    behaviour = { signer: await root.leaf({ usages: ['ocspSigning'] }) };
    expect(await check('on')(await leafOf())).toContain('not signed by its issuer or in its name');
  });
});

describe('the cluster listener with cluster_ocsp', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    const server = await root.leaf({ usages: ['serverAuth'] });
    const tls = loadClusterTls({ mode: 'pki', ...server, ca: root.pem, end: 'server' });
    plane = await startControlPlane({ tls, revocation: check('on') });
  });
  afterAll(() => plane.stop());

  test('serves a good certificate and refuses a revoked one', async () => {
    const client = async (): Promise<ClientTls> => {
      const { cert, key } = await root.leaf({ name: 'dp', usages: ['clientAuth'], ocsp: url });
      return { cert, key, ca: root.pem, servername: 'cp.test' };
    };
    expect((await call(plane.port, `/v1/manifest?node=${NODE_ID}`, { tls: await client() })).status).toBe(428);
    behaviour = { status: revoked() };
    const answer = await call(plane.port, `/v1/manifest?node=${NODE_ID}`, { tls: await client() });
    expect([answer.status, answer.body.toString()]).toEqual([403, expect.stringContaining('was revoked at')]);
  });
});
