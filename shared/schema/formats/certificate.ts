// The X.509 library resolves its parts through decorators and needs this loaded before it.
import 'reflect-metadata';
import { BasicConstraintsExtension, X509Certificate } from '@peculiar/x509';
import { privateKeyContainer, publicIdentity, publicKeyContainer, toHex } from './keys.ts';

/** The first certificate of a PEM text. */
function parseCertificate(pem: string): X509Certificate | undefined {
  const [block] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(pem) ?? [];
  if (block === undefined) return undefined;
  try {
    return new X509Certificate(block);
  } catch {
    return undefined;
  }
}

/** Why a text is no PEM certificate, or nothing. */
export function certificateError(pem: string): string | undefined {
  return parseCertificate(pem) ? undefined : 'invalid certificate: not a PEM encoded X.509 certificate';
}

/** Looks at the form only; whether the key loads is known when it is compared with its certificate. */
export function privateKeyError(pem: string): string | undefined {
  return privateKeyContainer(pem)
    ? undefined
    : 'invalid key: not a PEM encoded private key (PKCS #8, PKCS #1 or SEC 1)';
}

/** Whether the private key is that of the certificate; undefined when the key does not load. */
export async function keyFitsCertificate(certificate: string, key: string): Promise<boolean | undefined> {
  const own = await publicIdentity(privateKeyContainer(key));
  return own === undefined ? undefined : own === (await certificateIdentity(certificate));
}

async function certificateIdentity(pem: string): Promise<string | undefined> {
  const certificate = parseCertificate(pem);
  if (!certificate) return undefined;
  return publicIdentity(publicKeyContainer(certificate.publicKey.toString('pem')));
}

/** `RSASSA-PKCS1-v1_5`, `ECDSA`, `Ed25519`…: a pair of certificates for one name needs two different ones. */
export function keyTypeOf(pem: string): string | undefined {
  return parseCertificate(pem)?.publicKey.algorithm.name;
}

/** Lower-case hex SHA-256 of the DER. */
export async function certificateDigest(pem: string): Promise<string | undefined> {
  const certificate = parseCertificate(pem);
  return certificate && toHex(await crypto.subtle.digest('SHA-256', certificate.rawData));
}

/** What keeps a certificate from being used as an authority. */
export function authorityError(pem: string): string | undefined {
  if (pem.split('-----BEGIN CERTIFICATE-----').length > 2) return 'please submit only one certificate at a time';
  const certificate = parseCertificate(pem);
  if (!certificate) return undefined;
  if (certificate.notAfter.getTime() < Date.now()) return 'certificate expired, "Not After" time is in the past';
  if (certificate.getExtension(BasicConstraintsExtension)?.ca) return undefined;
  return 'certificate does not appear to be a CA because it is missing the "CA" basic constraint';
}
