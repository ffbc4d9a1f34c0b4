// The certificate library resolves its parts through it; it has to be there first.
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { crypto } from './crypto-provider.ts';
import { SHARED_SERVER_NAME } from './names.ts';

/** Kong's lifetime of a generated cluster certificate. */
export const DAYS = 1095;
const DAY = 86_400_000;
/** Clocks of the two planes may differ a little. */
const BACKDATED = 300_000;

/** P-256, not Kong's P-384: a handshake of mutual TLS costs either end half as much, which is most of what a fleet costs that comes back. */
export const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
} as const;

/** How a key is made, and signs. */
type Algorithm = typeof ALGORITHM | typeof RSA;

export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

/**
 * A self-signed pair for both ends of the link in `shared` mode, as `kong hybrid gen_cert` makes it, but for the curve: usable
 * by server and client. It carries no key usage: BoringSSL takes a certificate that may not sign for no trust anchor.
 */
export function generateClusterCertificate(now: Date = new Date(), days: number = DAYS): Promise<PemPair> {
  return selfSigned(SHARED_SERVER_NAME, [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth], now, days);
}

/** A self-signed pair for TLS listeners that were given none, as Kong makes it: for `localhost`, known to no client. */
export function generateListenerCertificate(type: 'ecdsa' | 'rsa' = 'ecdsa'): Promise<PemPair> {
  return selfSigned('localhost', [ExtendedKeyUsage.serverAuth], new Date(), DAYS, type === 'rsa' ? RSA : ALGORITHM);
}

function selfSigned(
  name: string,
  usages: readonly ExtendedKeyUsage[],
  now: Date,
  days: number,
  algorithm?: Algorithm,
): Promise<PemPair> {
  const extensions = [
    new BasicConstraintsExtension(false, undefined, true),
    new ExtendedKeyUsageExtension([...usages]),
    new SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
  ];
  return selfSignedWith(name, now, days, extensions, algorithm);
}

/** A new key's certificate, signed by itself; the identifier of the key is added to the extensions. */
export async function selfSignedWith(
  name: string,
  now: Date,
  days: number,
  extensions: readonly Extension[],
  algorithm: Algorithm = ALGORITHM,
): Promise<PemPair> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    serialNumber: serialNumber(),
    ...validity(now, days),
    signingAlgorithm: algorithm,
    keys,
    extensions: [...extensions, await SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  return { cert: `${certificate.toString('pem')}\n`, key: await exported(keys.privateKey) };
}

/** From a little before now on. */
export function validity(now: Date, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(now.getTime() - BACKDATED), notAfter: new Date(now.getTime() + days * DAY) };
}

/** A random one, in hexadecimal; a high first bit would make it negative. */
export function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

/** PKCS#8 in PEM. */
export async function exported(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}
