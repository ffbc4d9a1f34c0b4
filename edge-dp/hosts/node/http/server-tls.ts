import { createSecureContext, type TlsOptions as NodeTlsOptions, type SecureContext } from 'node:tls';
import { messageOf } from '../../../../shared/thrown.ts';
import { TLS_CIPHERS } from '../../../../shared/tls-ciphers.ts';
import type { ServerCertificate } from '../../../proxy/request-path.ts';

/** How a listener does TLS. */
export interface TlsOptions {
  /** PEM: what clients are shown that ask for no name, or for one that nobody has. */
  readonly cert: string;
  readonly key: string;
  /** Of the live config; null: the pair above. */
  readonly certificateOf: (serverName: string) => ServerCertificate | null;
  /** 48 bytes in base64, the same in all processes of the node: a session begun with one goes on with another. */
  readonly ticketKeys: string;
}

const LIMITS = { minVersion: 'TLSv1.2', ciphers: TLS_CIPHERS } as const;

/** The certificate of each handshake is that of the config of its moment. */
export function serverTls({ cert, key, certificateOf, ticketKeys }: TlsOptions): NodeTlsOptions {
  const contexts = new WeakMap<ServerCertificate, SecureContext | null>();
  return {
    ...LIMITS,
    cert,
    key,
    ticketKeys: Buffer.from(ticketKeys, 'base64'),
    SNICallback(serverName, answer) {
      const certificate = certificateOf(serverName);
      if (certificate === null) {
        answer(null);
        return;
      }
      let context = contexts.get(certificate);
      if (context === undefined) {
        context = contextOf(serverName, certificate);
        contexts.set(certificate, context);
      }
      if (context === null) answer(new Error(`no certificate for ${serverName}`));
      else answer(null, context);
    },
  };
}

/** Null, and a line in the log, for a pair that cannot be used: nobody is shown another one in its place. */
function contextOf(serverName: string, { cert, key }: ServerCertificate): SecureContext | null {
  try {
    // Of two pairs (`cert_alt`) Node shows only one from here.
    return createSecureContext({ ...LIMITS, cert, key: key ?? '' });
  } catch (error) {
    console.error(`the certificate for server name ${serverName} cannot be used: ${messageOf(error)}`);
    return null;
  }
}
