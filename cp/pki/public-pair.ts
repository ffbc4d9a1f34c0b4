import { createPrivateKey, X509Certificate } from 'node:crypto';
import { certificatesOf } from '../../shared/pem.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Settings } from '../settings/properties.ts';
import { PkiError } from './error.ts';
import { readPem } from './pem.ts';

/** A pair that the public CAs vouch for, for data planes that believe no others: those on Cloudflare's network. */
export interface PublicPair {
  /** PEM: the leaf, then its intermediates. */
  readonly cert: string;
  readonly key: string;
  /** Whether it is what is shown by this name: the cluster certificate goes first, which other data planes ask for. */
  isFor(name: string): boolean;
}

/**
 * Reads `cluster_server_cert` and its key, beside the cluster certificate `own`; null: none is set. Throws `PkiError`, also for one that
 * could never be shown.
 */
export function loadPublicPair(settings: Settings, own: X509Certificate): PublicPair | null {
  const { cluster_server_cert: path, cluster_server_cert_key: keyPath } = settings;
  if (path === null || keyPath === null) return null;
  const [cert, key] = [readPem(path, 'cluster_server_cert'), readPem(keyPath, 'cluster_server_cert_key')];
  const leaf = leafOf(cert);
  if (!matches(leaf, key)) {
    throw new PkiError('cluster_server_cert_key is not the key of cluster_server_cert; the two must be one pair');
  }
  const names = namesOf(leaf);
  if (names.length === 0) throw new PkiError('cluster_server_cert: has no DNS name (subjectAltName)');
  if (names.every((name) => own.checkHost(name) !== undefined)) {
    throw new PkiError(
      `cluster_server_cert: cluster_cert is good for ${names.join(', ')} too, and is shown by those names; issue one of the two for another name`,
    );
  }
  return { cert, key, isFor: (name) => leaf.checkHost(name) !== undefined && own.checkHost(name) === undefined };
}

function leafOf(pem: string): X509Certificate {
  try {
    return new X509Certificate(certificatesOf(pem)[0] ?? '');
  } catch (error) {
    throw new PkiError(`cluster_server_cert: not a certificate (${messageOf(error)})`);
  }
}

function matches(leaf: X509Certificate, key: string): boolean {
  try {
    return leaf.checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw new PkiError(`cluster_server_cert_key: not a private key (${messageOf(error)})`);
  }
}

/** The DNS names of a certificate, in lower case; `*` for one label. */
export function namesOf({ subjectAltName }: X509Certificate): readonly string[] {
  return [...(subjectAltName ?? '').matchAll(/DNS:([^,\s]+)/g)].map(([, name = '']) => name.toLowerCase());
}
