// The certificate library resolves its parts through it; it has to be there first.
import 'reflect-metadata';
import { Crypto } from '@peculiar/webcrypto';
import { AsnEcSignatureFormatter, cryptoProvider } from '@peculiar/x509';

/**
 * What certificates are made and read with: WebCrypto over OpenSSL, with the curves that Node's own WebCrypto does not know
 * (K-256, the brainpool ones), as companies' CAs have them.
 */
export const crypto = new Crypto();

cryptoProvider.set(crypto);

/** Bytes of a coordinate, where the library takes 32 for granted. */
for (const [curve, size] of [
  ['brainpoolP384r1', 48],
  ['brainpoolP512r1', 64],
] as const) {
  AsnEcSignatureFormatter.namedCurveSize.set(curve, size);
}
