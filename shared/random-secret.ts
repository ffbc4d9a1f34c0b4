const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Random letters and digits, each equally likely. */
export function randomSecret(length: number): string {
  let secret = '';
  while (secret.length < length) {
    // Bytes from 248 up would favour the first letters.
    for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
      if (byte < 248 && secret.length < length) secret += LETTERS[byte % LETTERS.length];
    }
  }
  return secret;
}
