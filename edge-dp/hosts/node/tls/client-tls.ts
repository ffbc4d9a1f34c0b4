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

/** What a connection's TLS came to, read when somebody asks. */
export class SocketTls implements ClientTls {
  readonly #socket: TLSSocket;
  readonly #clients: AskedOfClient | null;
  #verify: string | undefined;
  #refusal: string | null | undefined;
  #certificate: ClientCertificate | null | undefined;

  /** `clients`: what was asked of the client; null: nothing. */
  constructor(socket: TLSSocket, clients: AskedOfClient | null) {
    this.#socket = socket;
    this.#clients = clients;
    if (clients === null) {
      this.#verify = 'NONE';
      this.#refusal = null;
      this.#certificate = null;
    }
  }

  get version(): string {
    return this.#socket.getProtocol() ?? '';
  }

  get cipher(): string {
    return this.#socket.getCipher().name;
  }

  get clientVerify(): string {
    this.#verify ??= this.#verified();
    return this.#verify;
  }

  get refusal(): string | null {
    if (this.#refusal === undefined) this.#refusal = refusalOf(this.clientVerify, this.#clients?.mode ?? 'optional');
    return this.#refusal;
  }

  get clientCertificate(): ClientCertificate | null {
    if (this.#certificate === undefined) {
      const shown = this.#socket.getPeerX509Certificate();
      this.#certificate = shown === undefined ? null : new PeerCertificate(shown);
    }
    return this.#certificate;
  }

  #verified(): string {
    const { authorized, authorizationError } = this.#socket;
    if (this.#socket.getPeerX509Certificate() === undefined) return 'NONE';
    return authorized ? 'SUCCESS' : `FAILED:${reasonOf(String(authorizationError))}`;
  }
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
