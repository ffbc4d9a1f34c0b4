import { constants } from 'node:crypto';
import type { TlsOptions } from 'node:tls';
import { INTERMEDIATE_CIPHERS, TLS_1_3_CIPHERS } from '../../../../shared/tls-ciphers.ts';
import type { TlsLimits, TlsVersion } from '../../options.ts';
import { ffdheParameters } from './ffdhe.ts';

/** Kong's `intermediate`. */
export const DEFAULT_LIMITS: TlsLimits = {
  versions: ['TLSv1.2', 'TLSv1.3'],
  ciphers: INTERMEDIATE_CIPHERS,
  preferServerCiphers: false,
  dhparam: 'ffdhe2048',
  sessionTickets: true,
  sessionTimeout: 86_400,
  stapling: false,
};

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
    ...(versions.includes('TLSv1.3') ? [TLS_1_3_CIPHERS] : []),
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
