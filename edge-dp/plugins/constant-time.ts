/**
 * Whether a secret, or what is computed from one, is what a client sent. How long that takes says nothing of where they differ:
 * only whether they are of one length.
 */
export function sameBytes(secret: Uint8Array, sent: Uint8Array): boolean {
  if (secret.length !== sent.length) return false;
  let difference = 0;
  for (let at = 0; at < secret.length; at++) difference |= (secret[at] ?? 0) ^ (sent[at] ?? 0);
  return difference === 0;
}

/** The same for text, compared by its UTF-16 code units. */
export function sameText(secret: string, sent: string): boolean {
  if (secret.length !== sent.length) return false;
  let difference = 0;
  for (let at = 0; at < secret.length; at++) difference |= secret.charCodeAt(at) ^ sent.charCodeAt(at);
  return difference === 0;
}
