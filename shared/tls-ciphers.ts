/**
 * What our TLS listeners take, in OpenSSL's names: authenticated encryption with forward secrecy. The CBC suites of TLS 1.2
 * are not among them, which has been the way to Lucky 13 and its kin; Kong's default (`intermediate`) leaves them out too.
 */
export const TLS_1_2_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** Kong's `intermediate`: the same, and those that exchange keys over a group of RFC 7919. */
export const INTERMEDIATE_CIPHERS = `${TLS_1_2_CIPHERS}:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305`;

/** Those of TLS 1.3, which Node turns off unless they are in the list; BoringSSL always has its own. */
export const TLS_1_3_CIPHERS = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';

export const TLS_CIPHERS = `${TLS_1_3_CIPHERS}:${TLS_1_2_CIPHERS}`;
