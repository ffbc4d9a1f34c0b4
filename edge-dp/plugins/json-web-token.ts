import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { concatBytes } from '../../shared/bytes.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { decodeBase64 } from '../http/base64.ts';
import { sameBytes } from './constant-time.ts';

/** JSON Web Tokens in compact form (RFC 7515, 7518, 7519, 8037), verified by a key that is known beforehand. */

export interface JsonWebToken {
  readonly header: Row;
  readonly claims: Row;
  readonly algorithm: string;
  /** What is signed: the first two parts as they came. */
  readonly signed: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/**
 * A token taken apart, or what is wrong with it in Kong's words. Nothing is verified. `typ` is not looked at: access tokens
 * have others than `JWT` (RFC 9068).
 */
export function decodeToken(token: string): JsonWebToken | { readonly refused: string } {
  const [head = '', body = '', ...end] = token.split('.');
  const header = end.length > 0 ? decodePart(head) : undefined;
  const claims = header === undefined ? undefined : decodePart(body);
  if (header === undefined || claims === undefined) return { refused: 'invalid JSON' };
  if (!isRecord(header)) return { refused: 'invalid JSON' };
  const { alg } = header;
  if (typeof alg !== 'string' || !ALGORITHMS.has(alg)) return { refused: 'invalid alg' };
  const signature = fromBase64Url(end.join('.'));
  if (signature === null) return { refused: 'invalid signature' };
  // In Kong a list or a text has no claims.
  return {
    header,
    claims: isRecord(claims) ? claims : {},
    algorithm: alg,
    signed: bytesOf(`${head}.${body}`),
    signature,
  };
}

/** Makes the key of a credential: a secret's bytes for HS…, else a public key in PEM. Throws for what is no key of the algorithm. */
export function verificationKey(algorithm: string, secret: Uint8Array, pem: string): VerificationKey {
  const digest = DIGESTS[algorithm];
  if (digest !== undefined) {
    return { verify: ({ signed, signature }) => sameBytes(hmac(digest, secret, signed), signature) };
  }
  const info = publicKeyOf(pem);
  const parameters = algorithm === 'EdDSA' && isEd448(info) ? ED448 : PARAMETERS[algorithm];
  if (parameters === undefined) throw new Error(`there is no algorithm ${algorithm}`);
  const key = crypto.subtle.importKey('spki', info, parameters.key, false, ['verify']);
  // Awaited by whoever verifies; until then nobody may be told that it failed.
  key.catch(() => {});
  return {
    verify: async ({ signed, signature }) => crypto.subtle.verify(parameters.verify, await key, signature, signed),
  };
}

export interface VerificationKey {
  /** Rejects when the key is none of the algorithm. */
  verify(token: JsonWebToken): boolean | Promise<boolean>;
}

/** The bytes of base64url (RFC 4648 section 5), padded or not; null for what is none. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  if (/[+/]/.test(text)) return null;
  const bytes = decodeBase64(text.replaceAll('-', '+').replaceAll('_', '/'));
  return bytes === null ? null : new Uint8Array(bytes);
}

const DIGESTS: Readonly<Record<string, typeof sha256 | typeof sha512>> = {
  HS256: sha256,
  HS384: sha384,
  HS512: sha512,
};

/** Algorithms as Web Crypto names them. */
interface Parameters {
  readonly key: { readonly name: string; readonly hash?: string; readonly namedCurve?: string };
  readonly verify: { readonly name: string; readonly hash?: string; readonly saltLength?: number };
}

const rsa = (bits: number): Parameters => ({
  key: { name: 'RSASSA-PKCS1-v1_5', hash: `SHA-${bits}` },
  verify: { name: 'RSASSA-PKCS1-v1_5' },
});
const pss = (bits: number): Parameters => ({
  key: { name: 'RSA-PSS', hash: `SHA-${bits}` },
  verify: { name: 'RSA-PSS', saltLength: bits / 8 },
});
const ecdsa = (bits: number, curve: string): Parameters => ({
  key: { name: 'ECDSA', namedCurve: curve },
  verify: { name: 'ECDSA', hash: `SHA-${bits}` },
});

const PARAMETERS: Readonly<Record<string, Parameters>> = {
  RS256: rsa(256),
  RS384: rsa(384),
  RS512: rsa(512),
  PS256: pss(256),
  PS384: pss(384),
  PS512: pss(512),
  ES256: ecdsa(256, 'P-256'),
  ES384: ecdsa(384, 'P-384'),
  ES512: ecdsa(512, 'P-521'),
  EdDSA: { key: { name: 'Ed25519' }, verify: { name: 'Ed25519' } },
};

/** The other curve of EdDSA (RFC 8037), which Node's Web Crypto has, and workerd's refuses. */
const ED448: Parameters = { key: { name: 'Ed448' }, verify: { name: 'Ed448' } };

/** `none` is not one of them. */
const ALGORITHMS: ReadonlySet<string> = new Set([...Object.keys(DIGESTS), ...Object.keys(PARAMETERS)]);

/** Undefined for what is no base64url of JSON. */
function decodePart(part: string): unknown {
  const bytes = fromBase64Url(part);
  if (bytes === null) return undefined;
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch {
    return undefined;
  }
}

/** SubjectPublicKeyInfo (RFC 5280) of a PEM text; an RSA key by itself (PKCS #1) is put into one. */
function publicKeyOf(pem: string): Uint8Array<ArrayBuffer> {
  const block = /-----BEGIN (RSA )?PUBLIC KEY-----([\s\S]*?)-----END \1?PUBLIC KEY-----/.exec(pem);
  const bytes = decodeBase64((block?.[2] ?? '').replace(/\s+/g, ''));
  if (block === null || bytes === null) throw new Error('the public key is no PEM');
  if (block[1] === undefined) return new Uint8Array(bytes);
  const key = der(0x03, concatBytes([new Uint8Array(1), bytes]));
  return new Uint8Array(der(0x30, concatBytes([RSA_ENCRYPTION, key])));
}

/** Whether a SubjectPublicKeyInfo begins as those of Ed448 do: 1.3.101.113 is its algorithm (RFC 8410). */
function isEd448(info: Uint8Array): boolean {
  return ED448_HEAD.every((byte, at) => info[at] === byte);
}

const ED448_HEAD = [0x30, 0x43, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71];

/** AlgorithmIdentifier of rsaEncryption, its parameters NULL. */
const RSA_ENCRYPTION = Uint8Array.of(0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0);

function der(tag: number, content: Uint8Array): Uint8Array {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concatBytes([Uint8Array.of(tag, ...size), content]);
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
