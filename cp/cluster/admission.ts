import { createHash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { messageOf } from '../../shared/thrown.ts';
import {
  CLIENT_AUTH,
  type ClusterTls,
  datesFault,
  extendedKeyUsage,
  MOST_INTERMEDIATES,
  oneLine,
} from '../pki/cluster-tls.ts';
import { certifiedLabels } from './node-labels.ts';

/** A data plane's end of a connection whose certificate was verified. */
export interface Peer {
  readonly ip: string;
  readonly port: number;
  readonly subject: string;
  /** SHA-256 of its certificate's public key, base64url; null in `shared`, where all have the same. */
  readonly certificateKey: string | null;
  /** The labels that its certificate gives it; none in `shared`, where all have the same. */
  readonly labels: Readonly<Record<string, string>>;
  /** Unix seconds; null at the development link, where no certificate is shown. */
  readonly certificateExpires: number | null;
}

/** Whether the certificate, which was good when the connection was opened, has expired since. */
export function hasExpired({ certificateExpires }: Peer): boolean {
  return certificateExpires !== null && certificateExpires * 1000 < Date.now();
}

/** The verdict on a connection, with the reason of a refusal in words for the log. */
export type Admission =
  | { readonly admitted: true; readonly peer: Peer }
  | { readonly admitted: false; readonly reason: string };

/** Asks whether a certificate was revoked; returns why it must not be accepted, or null. */
export type RevocationCheck = (leaf: X509Certificate) => Promise<string | null>;

/**
 * Decides about the client certificate of a finished handshake. `shared`: it must be the very certificate of this
 * control plane. `pki`: it must chain to the cluster's CA, be meant for clients, and not be revoked. Never throws.
 */
export async function admit(
  socket: TLSSocket,
  tls: ClusterTls,
  revocation: RevocationCheck | null,
  now: Date,
): Promise<Admission> {
  try {
    return await judged(socket, tls, revocation, now);
  } catch (error) {
    // Anybody may show anything: it must not take the others along.
    return refused(`its client certificate cannot be read (${messageOf(error)})`);
  }
}

async function judged(
  socket: TLSSocket,
  tls: ClusterTls,
  revocation: RevocationCheck | null,
  now: Date,
): Promise<Admission> {
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return refused('no client certificate was presented');
  const named = `client certificate '${oneLine(leaf.subject)}'`;
  const dates = datesFault(leaf, now);
  if (dates !== null) return refused(`${named} ${dates}`);
  if (tls.mode === 'shared') {
    if (leaf.fingerprint256 !== tls.leaf.fingerprint256) {
      return refused(`${named} is not this cluster's shared certificate (cluster_mtls = shared)`);
    }
  } else {
    const fault = chainFault(socket, leaf) ?? (await revocation?.(leaf)) ?? null;
    if (fault !== null) return refused(`${named} ${fault}`);
  }
  return {
    admitted: true,
    peer: {
      ip: (socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
      port: socket.remotePort ?? 0,
      subject: oneLine(leaf.subject),
      certificateKey: tls.mode === 'shared' ? null : keyOf(leaf),
      labels: tls.mode === 'shared' ? {} : certifiedLabels(leaf.subjectAltName),
      certificateExpires: Math.floor(leaf.validToDate.getTime() / 1000),
    },
  };
}

function keyOf(leaf: X509Certificate): string {
  return createHash('sha256')
    .update(leaf.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}

function chainFault(socket: TLSSocket, leaf: X509Certificate): string | null {
  if (!socket.authorized) {
    // Node's types say Error; what is there is OpenSSL's code.
    const code = String(socket.authorizationError);
    if (code === 'PATH_LENGTH_EXCEEDED') {
      return `has too many intermediates up to cluster_ca_cert: at most ${MOST_INTERMEDIATES}, fewer where the path length of a CA says so`;
    }
    return `does not chain to cluster_ca_cert (${code})`;
  }
  if (!extendedKeyUsage(leaf).includes(CLIENT_AUTH)) return `lacks the extended key usage clientAuth (${CLIENT_AUTH})`;
  return null;
}

function refused(reason: string): Admission {
  return { admitted: false, reason };
}
