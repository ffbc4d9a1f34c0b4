import { messageOf } from '../../../shared/thrown.ts';
import type { EgressFailure, EgressFailureCode } from '../../proxy/egress/protocol.ts';

/** Why there is no response, as the Worker will be told. */
export class EgressError extends Error {
  override readonly name = 'EgressError';
  readonly failure: EgressFailure;

  constructor(code: EgressFailureCode, sent: boolean, message: string, stale = false) {
    super(message);
    this.failure = { code, sent, message, ...(stale && { stale }) };
  }
}

/** Status of the answer that carries a failure: 504 for time, 502 for the rest. */
export function statusOf({ code }: EgressFailure): number {
  if (code === 'unauthorized') return 403;
  return code === 'connect_timeout' || code === 'read_timeout' || code === 'write_timeout' ? 504 : 502;
}

/** Reads what Node says about a connection that could not be made. */
export function connectFailure(error: unknown, where: string): EgressError {
  if (error instanceof EgressError) return error;
  const { code, message } = describe(error);
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
    case 'EAI_FAIL':
      return new EgressError('dns', false, `${where}: the name does not resolve (${code})`);
    case 'ECONNREFUSED':
      return new EgressError('connection_refused', false, `${where}: connection refused`);
    case 'ETIMEDOUT':
      return new EgressError('connect_timeout', false, `${where}: no connection in time`);
    case 'ECONNRESET':
    case 'EPIPE':
      return new EgressError('closed', false, `${where}: closed the connection during its set-up`);
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOBUFS':
    case 'ENOMEM':
      return new EgressError('exhausted', false, `${where}: this machine has nothing left to connect with: ${message}`);
    default:
      return new EgressError(isTls(code, error) ? 'tls' : 'unreachable', false, `${where}: ${message}`);
  }
}

/**
 * Reads what Node says about a connection that a request was, or may have been, on its way by. `stale`: nothing had come of an answer
 * on one that had served others.
 */
export function requestFailure(error: unknown, where: string, stale: boolean): EgressError {
  if (error instanceof EgressError) return error;
  const { code, message } = describe(error);
  // An alert: the upstream did not accept the handshake (TLS 1.3 tells after it), so it has not read the request.
  if (isTls(code, error)) return new EgressError('tls', false, `${where}: ${message}`);
  return new EgressError('closed', true, `${where}: ${message}`, stale);
}

export function readTimeout(where: string): EgressError {
  return new EgressError('read_timeout', true, `${where}: sent nothing within read_timeout`);
}

export function writeTimeout(where: string): EgressError {
  return new EgressError('write_timeout', true, `${where}: took nothing within write_timeout`);
}

function isTls(code: string, error: unknown): boolean {
  if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || code === 'EPROTO') return true;
  // OpenSSL's verification codes ("CERT_HAS_EXPIRED", "DEPTH_ZERO_SELF_SIGNED_CERT") have no system call.
  return /CERT|SIGN|ISSUER|CRL|CHAIN/.test(code) && !(error instanceof Error && 'syscall' in error);
}

function describe(error: unknown): { readonly code: string; readonly message: string } {
  // Several addresses were tried: the first one's failure stands for all.
  const cause: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (!(cause instanceof Error)) return { code: '', message: String(cause) };
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  return { code, message: cause.message };
}

/** Any error as one that says why there is no response. */
export function asEgressError(error: unknown): EgressError {
  if (error instanceof EgressError) return error;
  return new EgressError('bad_request', false, messageOf(error));
}
