import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  BasicConstraintsExtension,
  X509Certificate as PeculiarCertificate,
  PemConverter,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { afterAll, describe, expect, test } from 'vitest';
import { issueCertificate } from '../../../cp/pki/authority.ts';
import {
  CLIENT_AUTH,
  loadClusterTls,
  loadSigningKey,
  loadTrustedKeys,
  SERVER_AUTH,
} from '../../../cp/pki/cluster-tls.ts';
import { crypto } from '../../../cp/pki/crypto-provider.ts';
import {
  clusterFiles,
  ensureClusterFiles,
  generateClusterFiles,
  generateClusterPair,
} from '../../../cp/pki/gen-cert.ts';
import { loadTrust } from '../../../cp/pki/trust.ts';
import { certificatesOf } from '../../../shared/pem.ts';
import { authority } from './authority.ts';

const root = mkdtempSync(join(tmpdir(), 'holdfast pki '));
afterAll(() => rmSync(root, { recursive: true }));

const folder = join(root, 'cluster');
const files = await generateClusterFiles(clusterFiles(folder));
const text = (file: string) => readFileSync(file, 'utf8');

function thrownBy(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    return String(error);
  }
  throw new Error('nothing was thrown');
}

describe('hybrid gen_cert', () => {
  test("makes Kong's certificate, usable by both ends, and private files that only the owner reads", () => {
    const certificate = new X509Certificate(text(files.cert));
    expect(certificate.subject).toBe('CN=kong_clustering');
    expect(certificate.checkHost('kong_clustering')).toBeDefined();
    expect(certificate.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(certificate.keyUsage).toEqual([SERVER_AUTH, CLIENT_AUTH]);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    const days = (certificate.validToDate.getTime() - certificate.validFromDate.getTime()) / 86_400_000;
    expect(Math.round(days)).toBe(1095);
    for (const file of [files.key, files.signingKey]) expect(statSync(file).mode & 0o077).toBe(0);
  });

  test("takes the names and the lifetime that Kong's command takes", async () => {
    const own = mkdtempSync(join(tmpdir(), 'gen-cert-'));
    const files = { ...clusterFiles(own), cert: join(own, 'my.crt'), key: join(own, 'my.key') };
    expect(await generateClusterPair(files, 30)).toEqual(Object.values(files));
    const signing = text(files.signingKey);
    const next = { ...files, cert: join(own, 'next.crt'), key: join(own, 'next.key') };
    expect(await generateClusterPair(next)).toEqual([next.cert, next.key]);
    expect(text(files.signingKey)).toBe(signing);
    await expect(generateClusterPair(next)).rejects.toThrow(`not overwriting ${next.cert}, ${next.key}`);
    const certificate = new X509Certificate(text(files.cert));
    const days = (certificate.validToDate.getTime() - certificate.validFromDate.getTime()) / 86_400_000;
    expect(Math.round(days)).toBe(30);
    expect(statSync(files.key).mode & 0o077).toBe(0);
    rmSync(own, { recursive: true });
  });

  test('issues by a CA that has the curve of earlier versions, and of Kong', async () => {
    const own = mkdtempSync(join(tmpdir(), 'issue-'));
    const algorithm = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const ca = await X509CertificateGenerator.createSelfSigned({
      name: 'CN=Earlier CA',
      keys,
      signingAlgorithm: algorithm,
      notAfter: new Date(Date.now() + 100 * 86_400_000),
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    });
    writeFileSync(join(own, 'ca.crt'), ca.toString('pem'));
    const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
    writeFileSync(join(own, 'ca.key'), PemConverter.encode(pkcs8, 'PRIVATE KEY'));
    const issued = await issueCertificate({ role: 'data_plane', name: 'dp-1', from: own, to: own, days: 30 });
    const leaf = new X509Certificate(text(issued.cert));
    expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(leaf.verify(new X509Certificate(ca.toString('pem')).publicKey)).toBe(true);
    rmSync(own, { recursive: true });
  });

  test('makes a signing key of which the trusted file holds the public half', async () => {
    const key = await loadSigningKey(files.signingKey);
    expect(loadTrustedKeys(files.trustedKeys)).toEqual({ cluster: key.cluster, keys: [key.publicKey] });
    expect(text(files.trustedKeys)).not.toContain('"d"');
  });

  test('never overwrites a file, and makes none when it would have to', async () => {
    const before = text(files.key);
    await expect(generateClusterFiles(clusterFiles(folder))).rejects.toThrow(`not overwriting ${files.cert}`);
    expect(text(files.key)).toBe(before);
    const partial = join(root, 'partial');
    await ensureClusterFiles(partial);
    const own = clusterFiles(partial);
    rmSync(own.cert);
    rmSync(own.signingKey);
    rmSync(own.trustedKeys);
    await expect(generateClusterFiles(clusterFiles(partial))).rejects.toThrow(own.key);
    await expect(ensureClusterFiles(partial)).rejects.toThrow(`${own.cert} is not`);
    expect(existsSync(own.cert)).toBe(false);
  });

  test('makes only what is missing when asked to complete a folder', async () => {
    const key = text(files.key);
    expect(await ensureClusterFiles(folder)).toEqual([]);
    rmSync(files.signingKey);
    rmSync(files.trustedKeys);
    expect(await ensureClusterFiles(folder)).toEqual([files.signingKey, files.trustedKeys]);
    expect(text(files.key)).toBe(key);
  });
});

describe('the cluster certificate settings', () => {
  const shared = { mode: 'shared', cert: files.cert, key: files.key, ca: null, end: 'server' } as const;

  test('take a path, PEM text and base64 of it', () => {
    const base64 = (file: string) => Buffer.from(text(file)).toString('base64');
    for (const [cert, key] of [
      [files.cert, files.key],
      [text(files.cert), text(files.key)],
      [base64(files.cert), base64(files.key)],
    ] as const) {
      expect(loadClusterTls({ ...shared, cert, key }).leaf.subject).toBe('CN=kong_clustering');
    }
  });

  test('are refused by name with the reason', async () => {
    const ca = await authority('ca');
    const other = await ca.leaf();
    const old = await ca.leaf({ notAfter: new Date(Date.now() - 1000) });
    const serverOnly = await ca.leaf({ usages: ['serverAuth'] });
    let issuer = ca;
    for (const level of [1, 2, 3, 4]) issuer = await issuer.intermediate(`level ${level}`);
    const deep = await issuer.leaf();
    const garbage = join(root, 'garbage.pem');
    writeFileSync(garbage, 'hello');
    const pki = { mode: 'pki', cert: other.cert, key: other.key, ca: ca.pem, end: 'client' } as const;
    const cases: [Parameters<typeof loadClusterTls>[0], string][] = [
      [{ ...shared, key: other.key }, 'is not the key of cluster_cert, '],
      [{ ...shared, cert: join(root, 'none.crt') }, 'cluster_cert: cannot be read (ENOENT'],
      [{ ...shared, cert: garbage }, 'is not a PEM file'],
      [{ ...shared, cert: text(files.key) }, 'cluster_cert: holds no certificate'],
      [{ ...shared, key: text(files.cert) }, 'cluster_cert_key: not a private key'],
      [{ ...pki, ca: null }, 'cluster_ca_cert: must be set'],
      [{ ...pki, ca: other.cert }, "'CN=cp.test' is not a CA certificate"],
      [{ ...pki, cert: serverOnly.cert, key: serverOnly.key }, 'extended key usage clientAuth'],
      [{ ...pki, cert: deep.cert, key: deep.key }, 'holds 4 intermediate certificates; at most 3 are taken'],
    ];
    for (const [settings, message] of cases) expect(() => loadClusterTls(settings)).toThrow(message);
    expect(loadClusterTls(pki).mode).toBe('pki');
    const none = join(root, 'no-certificate.pem');
    writeFileSync(none, text(files.key));
    expect(() => loadClusterTls({ ...pki, ca: none })).toThrow('cluster_ca_cert: holds no certificate');
    // A node must be able to start, and serve, with a certificate that has expired.
    expect(loadClusterTls({ ...shared, cert: old.cert, key: old.key }).mode).toBe('shared');
    await expect(loadSigningKey(files.trustedKeys)).rejects.toThrow('bundle_signing_key');
    expect(() => loadTrustedKeys(files.signingKey)).toThrow('bundle_trusted_keys');
  });

  test('are not shown where they are keys in place of paths', async () => {
    const pem = text(files.key);
    const body = pem.replace(/-----.*-----|\n/g, '');
    const other = await (await authority('ca')).leaf();
    const keys = [
      body,
      Buffer.from(pem).toString('base64'),
      pem,
      `${Buffer.from(pem).toString('base64')}%0A`,
      text(files.signingKey),
    ];
    for (const key of keys) {
      const shown = [
        () => loadClusterTls({ ...shared, cert: other.cert, key }),
        () => loadTrustedKeys(key),
        () => loadTrust({ lua_ssl_trusted_certificate: [key] }),
      ].map((load) => thrownBy(load));
      for (const message of shown) expect(message).not.toContain(key.slice(30, 60));
      await expect(loadSigningKey(key)).rejects.toThrow('bundle_signing_key: is no path of a file');
    }
  });

  test('hold every CA to three intermediates, or to the fewer it says itself, and leave the rest of it as it is', async () => {
    const [open, one, many] = [await authority('open'), await authority('one', 1), await authority('many', 300)];
    const middle = await open.intermediate('signed by another');
    const { cert, key } = await open.leaf();
    const all = [open, one, many, middle];
    const ca = all.map(({ pem }) => pem).join('\n');
    const { ca: anchors } = loadClusterTls({ mode: 'pki', cert, key, ca, end: 'client' });
    const trusted = certificatesOf(anchors).map((pem) => new PeculiarCertificate(pem));
    expect(trusted.map((anchor) => anchor.getExtension(BasicConstraintsExtension)?.pathLength)).toEqual([
      3,
      1,
      3,
      undefined,
    ]);
    const rest = ({ subject, issuer, serialNumber, publicKey, notBefore, notAfter }: PeculiarCertificate) => ({
      ...{ subject, issuer, serialNumber, notBefore, notAfter },
      key: Buffer.from(publicKey.rawData).toString('hex'),
    });
    expect(trusted.map(rest)).toEqual(all.map(({ certificate }) => rest(certificate)));
    expect(trusted[3]?.equal(middle.certificate)).toBe(true);
  });
});
