/** What became of a handshake or a request, in words for the log in place of OpenSSL's and of the HTTP parser's. */
export function connectionWords(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known = WORDS.find(([pattern]) => pattern.test(code));
  if (known !== undefined) return known[1];
  if (code.startsWith('HPE_')) return `it is not HTTP as it should be (${code})`;
  // OpenSSL's own text names its source files; its reason is enough.
  const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : null;
  return reason === null ? error.message : `the TLS handshake failed (${reason})`;
}

const WORDS: readonly (readonly [code: RegExp, words: string])[] = [
  [
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_(UNKNOWN|EXPIRED)|UNSUPPORTED_CERTIFICATE)$/,
    'it does not trust the certificate of this control plane (cluster_cert here, cluster_ca_cert and cluster_server_name there)',
  ],
  [/^ERR_SSL_HTTP_REQUEST$/, 'it speaks HTTP without TLS'],
  [/^ERR_SSL_(WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|UNEXPECTED_MESSAGE)$/, 'it does not speak TLS 1.2 or newer'],
  [/^ERR_SSL_NO_SHARED_CIPHER$/, 'it offers none of the ciphers that are taken'],
  [/^ERR_TLS_HANDSHAKE_TIMEOUT$/, 'the TLS handshake was not finished in time'],
  [/^ERR_HTTP_REQUEST_TIMEOUT$/, 'the request did not come in time'],
];
