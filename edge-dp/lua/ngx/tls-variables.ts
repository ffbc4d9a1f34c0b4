import type { LuaValue } from '../../../shared/lua/value.ts';
import type { ClientCertificate, ClientTls } from '../../proxy/request-path.ts';
import { escapeText } from '../arguments.ts';

const DAY = 86_400_000;

/** nginx's variables of a client's TLS. Nil without TLS, for what the client did not show, and for others. */
export function tlsVariable(tls: ClientTls | null, name: string): LuaValue {
  if (tls === null) return undefined;
  if (name === 'ssl_protocol') return tls.version;
  if (name === 'ssl_cipher') return tls.cipher;
  if (name === 'ssl_client_verify') return tls.clientVerify;
  const read = OF_CERTIFICATE[name];
  return read === undefined || tls.clientCertificate === null ? undefined : read(tls.clientCertificate);
}

const OF_CERTIFICATE: Readonly<Record<string, (certificate: ClientCertificate) => LuaValue>> = {
  ssl_client_raw_cert: ({ pem }) => pem ?? undefined,
  // As a header of several lines could have it.
  ssl_client_cert: ({ pem }) => pem?.trimEnd().replaceAll('\n', '\n\t'),
  ssl_client_escaped_cert: ({ pem }) => (pem === null ? undefined : escapeText(pem)),
  ssl_client_s_dn: ({ subject }) => subject,
  ssl_client_i_dn: ({ issuer }) => issuer,
  ssl_client_serial: ({ serial }) => serial,
  ssl_client_fingerprint: ({ fingerprint }) => fingerprint,
  ssl_client_v_start: ({ notBefore }) => notBefore,
  ssl_client_v_end: ({ notAfter }) => notAfter,
  ssl_client_v_remain: ({ notAfter }) => String(Math.max(0, Math.floor((Date.parse(notAfter) - Date.now()) / DAY))),
};
