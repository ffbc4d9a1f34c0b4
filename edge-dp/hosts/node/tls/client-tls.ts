import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { ClientTls } from '../../../proxy/request-path.ts';

/** What a connection's TLS came to, read when somebody asks. */
export class SocketTls implements ClientTls {
  readonly #socket: TLSSocket;
  #chain: string | null | undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
  }

  get version(): string {
    return this.#socket.getProtocol() ?? '';
  }

  get cipher(): string {
    return this.#socket.getCipher().name;
  }

  get clientVerify(): string {
    const { authorized, authorizationError } = this.#socket;
    if (this.#socket.getPeerX509Certificate() === undefined) return 'NONE';
    return authorized ? 'SUCCESS' : `FAILED:${reasonOf(String(authorizationError))}`;
  }

  get clientChain(): string | null {
    this.#chain ??= chainOf(this.#socket);
    return this.#chain;
  }
}

/** PEM of what the client showed; null: nothing. */
function chainOf(socket: TLSSocket): string | null {
  if (socket.getPeerX509Certificate() === undefined) return null;
  const found: Buffer[] = [];
  // The last one is its own issuer, or has none.
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && !found.includes(next.raw)) {
    found.push(next.raw);
    next = next.issuerCertificate;
  }
  return found.map(pemOf).join('');
}

function pemOf(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** OpenSSL's words, as nginx has them, for Node's names of them. */
function reasonOf(code: string): string {
  return REASONS[code] ?? code;
}

const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  CERT_CHAIN_TOO_LONG: 'certificate chain too long',
  CERT_REVOKED: 'certificate revoked',
  CERT_SIGNATURE_FAILURE: 'certificate signature failure',
  CERT_UNTRUSTED: 'certificate not trusted',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  INVALID_CA: 'invalid CA certificate',
  INVALID_PURPOSE: 'unsuitable certificate purpose',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in certificate chain',
  UNABLE_TO_GET_ISSUER_CERT: 'unable to get issuer certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unable to get local issuer certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unable to verify the first certificate',
};
