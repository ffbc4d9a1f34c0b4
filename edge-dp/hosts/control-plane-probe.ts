import { isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { messageOf } from '../../shared/thrown.ts';
import { connectThrough, type ForwardProxy } from './forward-proxy.ts';
import type { ClusterTls } from './options.ts';

/** Milliseconds for the whole probe, and how long a server may take to object to the client certificate. */
const PATIENCE = 5_000;
const OBJECTION = 300;

/**
 * Tries one TLS handshake with a control plane, as the Worker will do it, and says in plain words what is wrong, or
 * null when all is well. The Worker itself only ever sees "connection lost" or a reference number.
 */
export async function probeControlPlane(
  host: string,
  port: number,
  tls: ClusterTls,
  proxy: ForwardProxy | null = null,
): Promise<string | null> {
  if (proxy === null) return probe({ host, port }, tls);
  try {
    return await probe({ socket: await connectThrough(proxy, { host, port }) }, tls);
  } catch (error) {
    return messageOf(error);
  }
}

function probe(
  to: { readonly host: string; readonly port: number } | { readonly socket: Socket },
  tls: ClusterTls,
): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({
      ...to,
      ...(isIP(tls.serverName) === 0 && { servername: tls.serverName }),
      cert: tls.cert,
      key: tls.key,
      ca: tls.ca,
      ALPNProtocols: ['http/1.1'],
      checkServerIdentity: (_, certificate) => checkServerIdentity(tls.serverName, certificate),
      // Nothing is sent: the handshake may end, so that there is a certificate to speak of.
      rejectUnauthorized: false,
    });
    const finish = (finding: string | null): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.destroy();
      resolve(finding);
    };
    const timer = setTimeout(() => finish(`no answer within ${PATIENCE / 1000} s`), PATIENCE);
    socket.once('error', (error) => finish(explainConnection(error)));
    socket.once('end', () => finish(CLOSED));
    socket.once('close', () => finish(CLOSED));
    socket.once('secureConnect', () => {
      const finding = explainCertificate(socket, tls.serverName);
      if (finding !== null) finish(finding);
      // In TLS 1.3 the client has finished before the server has looked at its certificate.
      else setTimeout(() => finish(null), OBJECTION);
    });
  });
}

const CLOSED =
  'it closes the connection during the TLS handshake: is this the port of cluster_listen, and is cluster_cert accepted there?';

function explainConnection(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused: nothing listens there';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its name does not resolve';
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `it cannot be reached (${code})`;
    case 'ECONNRESET':
    case 'EPIPE':
      return CLOSED;
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return 'it does not speak TLS: is this the port of cluster_listen?';
  }
  if (!code.includes('ALERT')) return error.message;
  return `it refuses this node's certificate (cluster_cert): ${error.message.replace(/^.*routines:[^:]*:/, '').trim()}`;
}

/** What is wrong with the certificate it shows, or null. */
function explainCertificate(socket: TLSSocket, serverName: string): string | null {
  const certificate = socket.getPeerCertificate();
  const its = `its certificate (${certificate.subject?.CN ?? 'without a name'})`;
  // Node's types say Error; what is there is OpenSSL's code.
  switch (socket.authorized ? '' : String(socket.authorizationError)) {
    case '':
      return null;
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `${its} is not for ${serverName} (cluster_server_name)`;
    case 'CERT_HAS_EXPIRED':
      return `${its} has expired on ${certificate.valid_to}`;
    case 'CERT_NOT_YET_VALID':
      return `${its} is not valid before ${certificate.valid_from}: check the clocks`;
    case 'INVALID_PURPOSE':
      return `${its} is not meant for servers: it lacks the extended key usage serverAuth`;
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    // Of an authority that has the same name.
    case 'CERT_SIGNATURE_FAILURE':
      return `${its} does not chain to cluster_ca_cert (in shared mode: is not cluster_cert)`;
    case 'PATH_LENGTH_EXCEEDED':
      return `${its} has too many intermediates up to cluster_ca_cert: at most 3, fewer where the path length of a CA says so`;
    default:
      return `${its} is not accepted: ${socket.authorizationError}`;
  }
}
