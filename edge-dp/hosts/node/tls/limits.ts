import { constants } from 'node:crypto';
import type { TlsOptions } from 'node:tls';
import type { TlsLimits, TlsVersion } from '../../options.ts';
import { ffdheParameters } from './ffdhe.ts';

/** Kong's `intermediate`. */
export const DEFAULT_LIMITS: TlsLimits = {
  versions: ['TLSv1.2', 'TLSv1.3'],
  ciphers: [
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
    'DHE-RSA-AES128-GCM-SHA256',
    'DHE-RSA-AES256-GCM-SHA384',
    'DHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  preferServerCiphers: false,
  dhparam: 'ffdhe2048',
  sessionTickets: true,
  sessionTimeout: 86_400,
  stapling: false,
};

/** What TLS 1.3 has; Node turns it off where none of them is in the list. */
const SUITES_OF_1_3 = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';

const WITHOUT: Readonly<Record<TlsVersion, number>> = {
  TLSv1: constants.SSL_OP_NO_TLSv1,
  'TLSv1.1': constants.SSL_OP_NO_TLSv1_1,
  'TLSv1.2': constants.SSL_OP_NO_TLSv1_2,
  'TLSv1.3': constants.SSL_OP_NO_TLSv1_3,
};
const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

/** The limits of a listener in Node's words. */
export function limitOptions(limits: TlsLimits): TlsOptions {
  const { versions, ciphers, preferServerCiphers, dhparam, sessionTickets, sessionTimeout } = limits;
  const old = versions.includes('TLSv1') || versions.includes('TLSv1.1');
  let secureOptions = sessionTickets ? 0 : constants.SSL_OP_NO_TICKET;
  for (const version of VERSIONS) if (!versions.includes(version)) secureOptions |= WITHOUT[version];
  const list = [
    ...(versions.includes('TLSv1.3') ? [SUITES_OF_1_3] : []),
    ...(ciphers === null ? ['DEFAULT'] : [ciphers]),
    // OpenSSL 3 has no TLS below 1.2 at its usual level of security.
    ...(old ? ['@SECLEVEL=0'] : []),
  ];
  return {
    minVersion: VERSIONS.find((version) => versions.includes(version)) ?? 'TLSv1.2',
    maxVersion: VERSIONS.findLast((version) => versions.includes(version)) ?? 'TLSv1.3',
    ciphers: list.join(':'),
    honorCipherOrder: preferServerCiphers,
    ...(dhparam !== null && { dhparam: ffdheParameters(dhparam) ?? dhparam }),
    secureOptions,
    sessionTimeout,
  };
}
