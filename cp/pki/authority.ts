import 'reflect-metadata';
import { createPrivateKey, X509Certificate as NodeCertificate } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { messageOf } from '../../shared/thrown.ts';
import { ALGORITHM, DAYS, exported, selfSignedWith, serialNumber, validity } from './certificate.ts';
import { MOST_INTERMEDIATES } from './cluster-tls.ts';
import { crypto } from './crypto-provider.ts';
import { PkiError } from './error.ts';
import { clusterFiles, makeSigningKey } from './gen-cert.ts';
import { LABEL_URN } from './names.ts';
import { readText } from './pem.ts';
import { refusePresent, writeTogetherOnce } from './write-once.ts';

/** Days a CA made here is good for, unless told otherwise. */
const AUTHORITY_DAYS = 3650;

/** Where the CA of a cluster in `cluster_mtls = pki` stands in a folder. */
function authorityFiles(folder: string) {
  return { cert: join(folder, 'ca.crt'), key: join(folder, 'ca.key') } as const;
}

/**
 * `hybrid gen_ca`: a CA for the certificates of a cluster's nodes, and the bundle signing key. Nothing is overwritten: a `PkiError`
 * says what is there. Returns the files made.
 */
export async function generateAuthority(folder: string, days = AUTHORITY_DAYS, now = new Date()) {
  const files = authorityFiles(folder);
  const { signingKey, trustedKeys } = clusterFiles(folder);
  refusePresent([files.cert, files.key, signingKey, trustedKeys]);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { cert, key } = await selfSignedWith('Holdfast cluster CA', now, days, [
    // As `path-limit.ts` has it of other CAs.
    new BasicConstraintsExtension(true, MOST_INTERMEDIATES, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ]);
  writeTogetherOnce([
    { file: files.key, text: key, mode: 0o600 },
    { file: files.cert, text: cert, mode: 0o644 },
  ]);
  await makeSigningKey({ signingKey, trustedKeys });
  return { ...files, signingKey, trustedKeys };
}

/** What a node may be with its certificate: the server's end of the link, the client's, or both. */
const USAGES = {
  control_plane: [ExtendedKeyUsage.serverAuth],
  data_plane: [ExtendedKeyUsage.clientAuth],
  traditional: [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth],
} as const;

export type NodeRole = keyof typeof USAGES;
export const NODE_ROLES = Object.keys(USAGES);

export function isNodeRole(text: unknown): text is NodeRole {
  return typeof text === 'string' && Object.hasOwn(USAGES, text);
}

interface Issue {
  readonly role: NodeRole;
  /** A host name or an address; of a control plane, what data planes reach it by. */
  readonly name: string;
  /** That of the CA. */
  readonly from: string;
  /** That the pair is written to, as `<name>.crt` and `<name>.key`. */
  readonly to: string;
  readonly days?: number | undefined;
  /** Of a data plane: what the control plane believes of it, whatever it says itself. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** `hybrid issue`: a pair for one node, by the CA of `hybrid gen_ca`. Throws `PkiError`. */
export async function issueCertificate({ role, name, from, to, days = DAYS, labels = {} }: Issue, now = new Date()) {
  if (!isIP(name) && !/^(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/i.test(name)) {
    throw new PkiError(`'${name}' is neither a host name nor an address`);
  }
  const files = { cert: join(to, `${name}.crt`), key: join(to, `${name}.key`) };
  refusePresent(Object.values(files));
  const authority = await loadAuthority(from);
  const { notBefore, notAfter } = validity(now, days);
  if (notAfter > authority.certificate.notAfter) {
    throw new PkiError(
      `${authority.path} ends ${authority.certificate.notAfter.toISOString()}, before ${days} days are over: choose fewer with --days`,
    );
  }
  mkdirSync(to, { recursive: true, mode: 0o700 });
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: authority.certificate.subject,
    serialNumber: serialNumber(),
    notBefore,
    notAfter,
    signingAlgorithm: { ...ALGORITHM, ...authority.key.algorithm },
    signingKey: authority.key,
    publicKey: keys.publicKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([...USAGES[role]]),
      new SubjectAlternativeNameExtension([
        { type: isIP(name) ? 'ip' : 'dns', value: name },
        ...Object.entries(labels).map(([key, value]) => ({
          type: 'url' as const,
          value: `${LABEL_URN}${key}=${value}`,
        })),
      ]),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  });
  writeTogetherOnce([
    { file: files.key, text: await exported(keys.privateKey), mode: 0o600 },
    { file: files.cert, text: `${certificate.toString('pem')}\n`, mode: 0o644 },
  ]);
  return files;
}

async function loadAuthority(folder: string) {
  const files = authorityFiles(folder);
  const text = readText(files.cert, "the CA's certificate (made by 'holdfast hybrid gen_ca')");
  const keyText = readText(files.key, "the CA's key");
  try {
    const own = createPrivateKey(keyText);
    if (!new NodeCertificate(text).checkPrivateKey(own)) {
      throw new PkiError(`${files.key} is not the key of ${files.cert}`);
    }
    const [pkcs8] = PemConverter.decode(keyText);
    if (pkcs8 === undefined) throw new PkiError(`${files.key} holds no key`);
    // CAs of earlier versions have the larger curve.
    const namedCurve = own.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'P-384' : ALGORITHM.namedCurve;
    const key = await crypto.subtle.importKey('pkcs8', pkcs8, { ...ALGORITHM, namedCurve }, false, ['sign']);
    return { path: files.cert, certificate: new X509Certificate(text), key };
  } catch (error) {
    if (error instanceof PkiError) throw error;
    throw new PkiError(`${files.cert} and its key cannot be used: ${messageOf(error)}`);
  }
}
