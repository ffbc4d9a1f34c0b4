import { isRecord, type Row } from '../../shared/record.ts';
import type { ClientCertificate, ClientTls } from './request-path.ts';

/** TLS as clients speak it with Cloudflare's network, by what that tells of a request (`request.cf`); null: they do not. */
export function edgeTls(cf: unknown): ClientTls | null {
  if (!isRecord(cf) || typeof cf.tlsVersion !== 'string' || cf.tlsVersion === '') return null;
  const { tlsVersion, tlsCipher, tlsClientAuth } = cf;
  const verified = isRecord(tlsClientAuth) ? tlsClientAuth.certVerified : null;
  return {
    version: tlsVersion,
    cipher: OPENSSL_NAMES[String(tlsCipher)] ?? String(tlsCipher ?? ''),
    clientVerify: typeof verified === 'string' && verified !== '' ? verified : 'NONE',
    refusal: null,
    clientCertificate: isRecord(tlsClientAuth) ? certificateIn(tlsClientAuth) : null,
  };
}

/** Null: the client showed none. The network keeps the certificate itself. */
function certificateIn(shown: Row): ClientCertificate | null {
  const text = (name: string): string => String(shown[name] ?? '');
  if (text('certPresented') !== '1') return null;
  return {
    pem: null,
    subject: text('certSubjectDNRFC2253'),
    issuer: text('certIssuerDNRFC2253'),
    serial: text('certSerial').toUpperCase(),
    fingerprint: text('certFingerprintSHA1').toLowerCase(),
    notBefore: text('certNotBefore'),
    notAfter: text('certNotAfter'),
  };
}

/** Of the suites of TLS 1.3, which Cloudflare names without their prefix. */
const OPENSSL_NAMES: Readonly<Record<string, string>> = {
  'AEAD-AES128-GCM-SHA256': 'TLS_AES_128_GCM_SHA256',
  'AEAD-AES256-GCM-SHA384': 'TLS_AES_256_GCM_SHA384',
  'AEAD-CHACHA20-POLY1305-SHA256': 'TLS_CHACHA20_POLY1305_SHA256',
};
