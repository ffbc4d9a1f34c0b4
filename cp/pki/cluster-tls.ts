import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { ShapeError } from '../../shared/bundle/shape.ts';
import type { SigningKey } from '../../shared/bundle/signing.ts';
import { parseTrustedKeys, type TrustedKeys } from '../../shared/bundle/trusted-keys.ts';
import { certificatesOf } from '../../shared/pem.ts';
import { messageOf } from '../../shared/thrown.ts';
import { PkiError } from './error.ts';
import { withPathLimit } from './path-limit.ts';
import { readPem, readText, shownPath } from './pem.ts';

export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** Certificates between a leaf and the cluster's CA at most: who needs more has given away the right to make others. */
export const MOST_INTERMEDIATES = 3;

/** What one end of the link presents, and what it accepts of the other. */
export interface ClusterTls {
  readonly mode: 'shared' | 'pki';
  /** PEM: the leaf, then its intermediates. */
  readonly cert: string;
  readonly key: string;
  /** PEM: `pki` the cluster's CA, with the limit of intermediates, `shared` the certificate itself. */
  readonly ca: string;
  readonly leaf: X509Certificate;
}

/** The settings as given: each a path, PEM text, or base64 of it. */
interface ClusterTlsSettings {
  readonly mode: 'shared' | 'pki';
  readonly cert: string;
  readonly key: string;
  readonly ca: string | null;
  readonly end: 'server' | 'client';
}

/**
 * Reads and checks the cluster certificate settings of one end. Throws `PkiError`. Dates are not asked about: a node whose
 * certificate has expired cannot connect, but it can start and serve (`certificate-dates.ts` tells of them).
 */
export function loadClusterTls(settings: ClusterTlsSettings): ClusterTls {
  const cert = readPem(settings.cert, 'cluster_cert');
  const key = readPem(settings.key, 'cluster_cert_key');
  const leaf = readCertificate(certificatesOf(cert)[0], 'cluster_cert');
  if (!leaf.checkPrivateKey(readKey(key))) {
    throw new PkiError(
      `cluster_cert_key: ${shownPath(settings.key)} is not the key of cluster_cert, ${shownPath(settings.cert)}; the two must be one pair`,
    );
  }
  if (settings.mode === 'shared') return { mode: 'shared', cert, key, ca: cert, leaf };
  if (settings.ca === null) throw new PkiError('cluster_ca_cert: must be set when cluster_mtls = pki');
  const ca = readPem(settings.ca, 'cluster_ca_cert');
  const authorities = certificatesOf(ca);
  if (authorities.length === 0) throw new PkiError('cluster_ca_cert: holds no certificate');
  for (const text of authorities) {
    const authority = readCertificate(text, 'cluster_ca_cert');
    if (!authority.ca) throw new PkiError(`cluster_ca_cert: '${oneLine(authority.subject)}' is not a CA certificate`);
  }
  const [usage, name] = settings.end === 'server' ? [SERVER_AUTH, 'serverAuth'] : [CLIENT_AUTH, 'clientAuth'];
  if (!extendedKeyUsage(leaf).includes(usage)) {
    throw new PkiError(`cluster_cert: must carry the extended key usage ${name} (${usage}) when cluster_mtls = pki`);
  }
  const between = certificatesOf(cert)
    .slice(1)
    .filter((pem) => !isRoot(readCertificate(pem, 'cluster_cert'))).length;
  if (between > MOST_INTERMEDIATES) {
    throw new PkiError(
      `cluster_cert: holds ${between} intermediate certificates; at most ${MOST_INTERMEDIATES} are taken`,
    );
  }
  const anchors = authorities.map((text) => withPathLimit(text, MOST_INTERMEDIATES));
  return { mode: 'pki', cert, key, ca: anchors.join(''), leaf };
}

function isRoot(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer;
}

/** Reads the file of `bundle_signing_key`. Throws `PkiError`. */
export async function loadSigningKey(path: string): Promise<SigningKey> {
  const text = readText(path, 'bundle_signing_key');
  // Data planes have none, and need not read what signs.
  const { parseSigningKey } = await import('../../shared/bundle/signing.ts');
  try {
    return await parseSigningKey(text);
  } catch (error) {
    if (error instanceof ShapeError) throw new PkiError(`bundle_signing_key: ${path}: ${error.message}`);
    throw error;
  }
}

/** Reads a JWK Set file of public keys, that of `setting`. Throws `PkiError`. */
export function loadTrustedKeys(path: string, setting = 'bundle_trusted_keys'): TrustedKeys {
  const text = readText(path, setting);
  try {
    return parseTrustedKeys(text);
  } catch (error) {
    if (error instanceof ShapeError) throw new PkiError(`${setting}: ${path}: ${error.message}`);
    throw error;
  }
}

/** The object identifiers of a certificate's extended key usage; empty when it has none. */
export function extendedKeyUsage(certificate: X509Certificate): readonly string[] {
  // Node types the property as always there, yet leaves it undefined without the extension.
  const usage: readonly string[] | undefined = certificate.keyUsage;
  return usage ?? [];
}

/** Why a certificate may not be used at `now`, or null. */
export function datesFault(
  certificate: Pick<X509Certificate, 'validFromDate' | 'validToDate'>,
  now: Date,
): string | null {
  if (now < certificate.validFromDate) return `is not valid before ${certificate.validFromDate.toISOString()}`;
  if (now > certificate.validToDate) return `expired at ${certificate.validToDate.toISOString()}`;
  return null;
}

/** A distinguished name on one line, for messages. Of an empty one, as newer certificates of public CAs have it, Node says nothing at all. */
export function oneLine(name: string | undefined): string {
  return name?.split('\n').join(', ') ?? '';
}

function readCertificate(pem: string | undefined, setting: string): X509Certificate {
  if (pem === undefined) throw new PkiError(`${setting}: holds no certificate`);
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new PkiError(`${setting}: not a certificate (${messageOf(error)})`);
  }
}

function readKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const detail = messageOf(error);
    throw new PkiError(`cluster_cert_key: not a private key (${detail})`);
  }
}
