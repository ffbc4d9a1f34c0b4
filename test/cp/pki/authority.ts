import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import {
  AuthorityInfoAccessExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { crypto } from '../../../cp/pki/crypto-provider.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
} as const;

interface Leaf {
  readonly name?: string;
  /** It has a name only among its alternative ones. */
  readonly unnamed?: true;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly usages?: readonly ('serverAuth' | 'clientAuth' | 'ocspSigning')[];
  readonly ocsp?: string;
  /** Of its key; ECDSA when absent. */
  readonly type?: 'rsa';
}

/** A certificate authority for tests: it can make leaves and other authorities below itself. */
export interface Authority {
  readonly certificate: X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly pem: string;
  leaf(
    options?: Leaf,
  ): Promise<{ cert: string; key: string; certificate: X509Certificate; keys: webcrypto.CryptoKeyPair }>;
  intermediate(name: string): Promise<Authority>;
}

/** `pathLength`: intermediates that may be below it at most (RFC 5280, 4.2.1.9); absent: as many as one likes. */
export async function authority(name: string, pathLength?: number): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    notBefore: yesterday(),
    notAfter: tomorrow(),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new BasicConstraintsExtension(true, pathLength, true)],
  });
  return withKeys(certificate, keys, []);
}

function withKeys(
  certificate: X509Certificate,
  keys: webcrypto.CryptoKeyPair,
  above: readonly X509Certificate[],
): Authority {
  const chain = above.length === 0 ? [] : [certificate, ...above.slice(0, -1)];
  const issue = (subject: string, publicKey: webcrypto.CryptoKey, options: Leaf, ca: boolean) =>
    X509CertificateGenerator.create({
      subject,
      issuer: certificate.subject,
      serialNumber: Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString('hex'),
      notBefore: options.notBefore ?? yesterday(),
      notAfter: options.notAfter ?? tomorrow(),
      signingAlgorithm: ALGORITHM,
      signingKey: keys.privateKey,
      publicKey,
      extensions: [
        new BasicConstraintsExtension(ca, undefined, true),
        ...(ca || options.usages?.length === 0
          ? []
          : [
              new ExtendedKeyUsageExtension(
                (options.usages ?? ['serverAuth', 'clientAuth']).map((usage) => ExtendedKeyUsage[usage]),
              ),
            ]),
        ...(ca ? [] : [new SubjectAlternativeNameExtension([{ type: 'dns', value: options.name ?? 'cp.test' }])]),
        ...(options.ocsp === undefined ? [] : [new AuthorityInfoAccessExtension({ ocsp: [options.ocsp] })]),
      ],
    });
  return {
    certificate,
    keys,
    pem: certificate.toString('pem'),
    async leaf(options = {}) {
      const own = await crypto.subtle.generateKey(options.type === 'rsa' ? RSA : ALGORITHM, true, ['sign', 'verify']);
      const leaf = await issue(options.unnamed ? '' : `CN=${options.name ?? 'cp.test'}`, own.publicKey, options, false);
      const pkcs8 = await crypto.subtle.exportKey('pkcs8', own.privateKey);
      return {
        cert: [leaf, ...chain].map((one) => one.toString('pem')).join('\n'),
        key: PemConverter.encode(pkcs8, 'PRIVATE KEY'),
        certificate: leaf,
        keys: own,
      };
    },
    async intermediate(name) {
      const own = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const below = await issue(`CN=${name}`, own.publicKey, {}, true);
      return withKeys(below, own, [certificate, ...above]);
    },
  };
}

const yesterday = () => new Date(Date.now() - 86_400_000);
const tomorrow = () => new Date(Date.now() + 86_400_000);
