import 'reflect-metadata';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  PemConverter,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { describe, expect, it } from 'vitest';
import { generateClusterCertificate } from '../../../cp/pki/certificate.ts';
import { loadClusterTls } from '../../../cp/pki/cluster-tls.ts';
import { crypto } from '../../../cp/pki/crypto-provider.ts';

/** A pair as a company's own CA may have made it. */
async function pairOn(namedCurve: string) {
  const algorithm = { name: 'ECDSA', namedCurve, hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${namedCurve}`,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 60_000),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: certificate.toString('pem'), key: PemConverter.encode(pkcs8, 'PRIVATE KEY') };
}

describe('the WebCrypto that certificates are made and read with', () => {
  it.each(['K-256', 'brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'])(
    'knows %s, which Node’s own does not',
    async (curve) => {
      const algorithm = { name: 'ECDSA', namedCurve: curve };
      await expect(globalThis.crypto.subtle.generateKey(algorithm, true, ['sign'])).rejects.toThrow();
      const pair = await pairOn(curve);
      // By the library, which reads the key of the certificate anew, by OpenSSL, and as a cluster's pair.
      expect(await new X509Certificate(pair.cert).verify({ date: new Date() })).toBe(true);
      const byNode = new NodeCertificate(pair.cert);
      expect(byNode.verify(byNode.publicKey)).toBe(true);
      const settings = { mode: 'pki', ...pair, ca: pair.cert, end: 'server' } as const;
      expect(loadClusterTls(settings).leaf.subject).toBe(`CN=${curve}`);
    },
  );

  it('is the library’s provider, and makes the cluster’s own certificates', async () => {
    expect(cryptoProvider.get()).toBe(crypto);
    const { cert } = await generateClusterCertificate();
    expect(await new X509Certificate(cert).verify()).toBe(true);
  });
});
