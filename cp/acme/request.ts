// The certificate library resolves its parts through it; it has to be there first.
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { crypto } from '../pki/crypto-provider.ts';

/** The kind of key a certificate is to have. */
export type KeyKind = { readonly type: 'ecc' } | { readonly type: 'rsa'; readonly bits: number };

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const;
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Longest common name (RFC 5280 appendix A.1). */
const LONGEST_NAME = 64;

/** A new private key; made off the main thread, as large ones take seconds. */
export async function newKey(kind: KeyKind): Promise<KeyObject> {
  const made =
    kind.type === 'ecc'
      ? await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
      : await promisify(generateKeyPair)('rsa', { modulusLength: kind.bits });
  return made.privateKey;
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** The private key in a PEM text; null when it cannot be used for a request, so that a new one must be. */
export function usableKey(pem: string): KeyObject | null {
  try {
    const key = createPrivateKey(pem);
    const curve = key.asymmetricKeyDetails?.namedCurve;
    return key.asymmetricKeyType === 'rsa' || curve === 'prime256v1' ? key : null;
  } catch {
    return null;
  }
}

/** A certificate request for one name (RFC 2986), in DER. */
export async function certificateRequest(host: string, key: KeyObject): Promise<Buffer> {
  const algorithm = key.asymmetricKeyType === 'rsa' ? RSA : EC;
  const [privateKey, publicKey] = await Promise.all([
    crypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), algorithm, true, ['sign']),
    crypto.subtle.importKey('spki', createPublicKey(key).export({ type: 'spki', format: 'der' }), algorithm, true, [
      'verify',
    ]),
  ]);
  const request = await Pkcs10CertificateRequestGenerator.create({
    ...(host.length <= LONGEST_NAME && { name: [{ CN: [host] }] }),
    keys: { privateKey, publicKey },
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: host }])],
  });
  return Buffer.from(request.rawData);
}
