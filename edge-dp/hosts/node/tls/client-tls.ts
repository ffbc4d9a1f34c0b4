import type { TLSSocket } from 'node:tls';
import type { ClientCertificate, ClientTls } from '../../../proxy/request-path.ts';
import type { ClientVerification } from '../../options.ts';
import { PeerCertificate } from './peer-certificate.ts';

/** What a client was asked for; `plugin`: by one, and is served whatever it shows. */
export interface AskedOfClient {
  readonly mode: ClientVerification['mode'] | 'plugin';
  /** PEM of what its certificate is checked by. */
  readonly ca: string | null;
}

/**
 * What a connection's TLS came to. It is read at once: logs ask for it when the client has gone, and then the connection does not know it
 * any more.
 */
export class SocketTls implements ClientTls {
  readonly version: string;
  readonly cipher: string;
  readonly clientVerify: string;
  readonly refusal: string | null;
  readonly clientCertificate: ClientCertificate | null;

  /** `clients`: what was asked of the client; null: nothing. */
  constructor(socket: TLSSocket, clients: AskedOfClient | null) {
    // Node's types do not know that a connection that has ended gives none.
    const cipher: { readonly name: string } | null = socket.getCipher();
    this.version = socket.getProtocol() ?? '';
    this.cipher = cipher?.name ?? '';
    const shown = clients === null ? undefined : socket.getPeerX509Certificate();
    this.clientCertificate = shown === undefined ? null : new PeerCertificate(shown);
    this.clientVerify = shown === undefined ? 'NONE' : verified(socket);
    this.refusal = clients === null ? null : refusalOf(this.clientVerify, clients.mode);
  }
}

function verified({ authorized, authorizationError }: TLSSocket): string {
  return authorized ? 'SUCCESS' : `FAILED:${reasonOf(String(authorizationError))}`;
}

/** nginx's words for what it has the statuses 496 and 495 for. */
function refusalOf(verify: string, mode: AskedOfClient['mode']): string | null {
  if (verify === 'SUCCESS' || mode === 'plugin') return null;
  if (verify === 'NONE') return mode === 'on' ? 'No required SSL certificate was sent' : null;
  const unknown = mode === 'optional_no_ca' && UNKNOWN_CA.has(verify.slice('FAILED:'.length));
  return unknown ? null : 'The SSL certificate error';
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

/** What nginx lets pass where the CA need not be known. */
const UNKNOWN_CA: ReadonlySet<string> = new Set([
  'self-signed certificate',
  'self-signed certificate in certificate chain',
  'unable to get issuer certificate',
  'unable to get local issuer certificate',
  'unable to verify the first certificate',
]);
