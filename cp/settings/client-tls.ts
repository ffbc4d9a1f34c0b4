import { createRequire } from 'node:module';
import { messageOf } from '../../shared/thrown.ts';
import { INTERMEDIATE_CIPHERS } from '../../shared/tls-ciphers.ts';
import type { Settings } from './properties.ts';

export const CIPHER_SUITES = ['modern', 'intermediate', 'old', 'fips', 'custom'] as const;
export const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

type Version = (typeof TLS_VERSIONS)[number];

/** How clients may speak TLS. */
interface ClientTls {
  readonly versions: readonly Version[];
  /** OpenSSL's list, for TLS 1.2 and below; null: OpenSSL's own. */
  readonly ciphers: string | null;
  readonly preferServerCiphers: boolean;
  /** A group of RFC 7919, or what `ssl_dhparam` says; null: no DHE. */
  readonly dhparam: string | null;
}

/** For `node:tls` where it is wanted: with it Node reads all public CAs. */
const require = createRequire(import.meta.url);

const OLD = [
  INTERMEDIATE_CIPHERS,
  'ECDHE-ECDSA-AES128-SHA256',
  'ECDHE-RSA-AES128-SHA256',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-ECDSA-AES256-SHA384',
  'ECDHE-RSA-AES256-SHA384',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'DHE-RSA-AES128-SHA256',
  'DHE-RSA-AES256-SHA256',
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA256',
  'AES256-SHA256',
  'AES128-SHA',
  'AES256-SHA',
  'DES-CBC3-SHA',
];

/** Kong's `ssl_cipher_suite`: a preset (Mozilla's, and that of FIPS), or what the other settings say. */
export function clientTls(settings: Settings): ClientTls {
  switch (settings.ssl_cipher_suite) {
    case 'modern':
      return { versions: ['TLSv1.3'], ciphers: null, preferServerCiphers: false, dhparam: null };
    case 'intermediate':
      return {
        versions: ['TLSv1.2', 'TLSv1.3'],
        ciphers: INTERMEDIATE_CIPHERS,
        preferServerCiphers: false,
        dhparam: 'ffdhe2048',
      };
    case 'old':
      return {
        versions: TLS_VERSIONS,
        ciphers: OLD.join(':'),
        preferServerCiphers: true,
        dhparam: settings.ssl_dhparam,
      };
    case 'fips':
      return {
        versions: ['TLSv1.2'],
        ciphers: 'TLSv1.2+FIPS:kRSA+FIPS:!eNULL:!aNULL',
        preferServerCiphers: true,
        dhparam: settings.ssl_dhparam,
      };
    case 'custom':
      return {
        versions: settings.ssl_protocols,
        ciphers: settings.ssl_ciphers,
        preferServerCiphers: settings.ssl_prefer_server_ciphers,
        dhparam: settings.ssl_dhparam,
      };
  }
}

/** Why the ciphers that are set cannot be used; null: they can, or are not asked for. */
export function cipherProblem({ ssl_cipher_suite: suite, ssl_ciphers: ciphers }: Settings): string | null {
  if (suite !== 'custom' || ciphers === null) return null;
  const { createSecureContext }: typeof import('node:tls') = require('node:tls');
  try {
    createSecureContext({ ciphers });
    return null;
  } catch (error) {
    return `no list of ciphers as 'openssl ciphers' reads it (${messageOf(error)})`;
  }
}
