import { readElements, readSequence, TAG, write } from './der.ts';

/** Keys in PEM and JWK, checked by loading them with WebCrypto. */

interface Block {
  readonly label: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** The blocks of a PEM text (RFC 7468); those whose base64 is broken are left out. */
function pemBlocks(text: string): Block[] {
  const blocks: Block[] = [];
  for (const [, label = '', body = ''] of text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g)) {
    try {
      blocks.push({ label, bytes: Uint8Array.from(atob(body.replace(/\s/g, '')), (char) => char.charCodeAt(0)) });
    } catch {}
  }
  return blocks;
}

interface Container {
  readonly format: 'pkcs8' | 'spki';
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Object identifiers of the algorithm and, for elliptic keys, the curve; DER contents in hex. */
  readonly algorithm: string;
  readonly curve: string | undefined;
}

const OID = {
  rsa: '2a864886f70d010101',
  rsaPss: '2a864886f70d01010a',
  ec: '2a8648ce3d0201',
  p256: '2a8648ce3d030107',
  p384: '2b81040022',
  p521: '2b81040023',
  ed25519: '2b6570',
  ed448: '2b6571',
  x25519: '2b656e',
  x448: '2b656f',
} as const;

const CURVES: Readonly<Record<string, string>> = { [OID.p256]: 'P-256', [OID.p384]: 'P-384', [OID.p521]: 'P-521' };

/** The private key of a PEM text as PKCS #8; undefined when there is none of a known form. */
export function privateKeyContainer(pem: string): Container | undefined {
  for (const { label, bytes } of pemBlocks(pem)) {
    if (label === 'PRIVATE KEY') return describe('pkcs8', bytes, readSequence(bytes)?.[1]?.content);
    if (label === 'RSA PRIVATE KEY' && readSequence(bytes)) {
      return wrapped(fromHex(OID.rsa), write(TAG.null), bytes, OID.rsa, undefined);
    }
    if (label === 'EC PRIVATE KEY') return ellipticContainer(bytes);
  }
  return undefined;
}

/** The public key of a PEM text; undefined when there is none. */
export function publicKeyContainer(pem: string): Container | undefined {
  for (const { label, bytes } of pemBlocks(pem)) {
    if (label === 'PUBLIC KEY') return describe('spki', bytes, readSequence(bytes)?.[0]?.content);
    // PKCS #1: the key without the name of its algorithm, which the label gives.
    if (label === 'RSA PUBLIC KEY' && readSequence(bytes)) return publicRsa(Uint8Array.of(0), bytes);
  }
  return undefined;
}

/** `key`: the content of the bit string. */
function publicRsa(...key: readonly Uint8Array[]): Container {
  const identifier = write(TAG.sequence, write(TAG.oid, fromHex(OID.rsa)), write(TAG.null));
  const bytes = write(TAG.sequence, identifier, write(TAG.bits, ...key));
  return { format: 'spki', bytes, algorithm: OID.rsa, curve: undefined };
}

function describe(
  format: 'pkcs8' | 'spki',
  bytes: Uint8Array<ArrayBuffer>,
  identifier: Uint8Array<ArrayBuffer> | undefined,
) {
  const [algorithm, parameters] = (identifier && readElements(identifier)) ?? [];
  if (algorithm?.tag !== TAG.oid) return undefined;
  const curve = parameters?.tag === TAG.oid ? toHex(parameters.content) : undefined;
  return { format, bytes, algorithm: toHex(algorithm.content), curve };
}

/** SEC 1: the curve stands inside the key. */
function ellipticContainer(bytes: Uint8Array<ArrayBuffer>): Container | undefined {
  const parameters = readSequence(bytes)?.find(({ tag }) => tag === TAG.context0);
  const [curve] = (parameters && readElements(parameters.content)) ?? [];
  if (curve?.tag !== TAG.oid) return undefined;
  return wrapped(fromHex(OID.ec), write(TAG.oid, curve.content), bytes, OID.ec, toHex(curve.content));
}

function wrapped(
  oid: Uint8Array,
  parameters: Uint8Array,
  key: Uint8Array,
  algorithm: string,
  curve: string | undefined,
): Container {
  const identifier = write(TAG.sequence, write(TAG.oid, oid), parameters);
  const version = write(TAG.integer, Uint8Array.of(0));
  return {
    format: 'pkcs8',
    bytes: write(TAG.sequence, version, identifier, write(TAG.octets, key)),
    algorithm,
    curve,
  };
}

/** What tells one public key from another, whatever container it came in; undefined for a key that does not load. */
export async function publicIdentity(container: Container | undefined): Promise<string | undefined> {
  const algorithm = container && importAlgorithm(container);
  return algorithm && identityBy(container, algorithm);
}

/** The same of keys that are kept and not used here, which may be of more kinds than certificates have. */
export async function keptKeyIdentity(container: Container | undefined): Promise<string | undefined> {
  if (container === undefined) return undefined;
  const { algorithm } = container;
  const name = KEPT[algorithm];
  // WebCrypto takes no container that says the key is for PSS alone.
  const plain = algorithm === OID.rsaPss ? withoutPss(container) : container;
  const by = name === undefined ? plain && importAlgorithm(plain) : { name };
  const identity = plain && by && (await identityBy(plain, by));
  return identity && `${algorithm} ${identity}`;
}

const KEPT: Readonly<Record<string, string>> = { [OID.ed448]: 'Ed448', [OID.x25519]: 'X25519', [OID.x448]: 'X448' };

function withoutPss({ format, bytes }: Container): Container | undefined {
  const key = readSequence(bytes)?.[format === 'pkcs8' ? 2 : 1]?.content;
  if (key === undefined) return undefined;
  return format === 'pkcs8' ? wrapped(fromHex(OID.rsa), write(TAG.null), key, OID.rsa, undefined) : publicRsa(key);
}

async function identityBy({ format, bytes }: Container, algorithm: ImportAlgorithm): Promise<string | undefined> {
  const isPrivate = format === 'pkcs8';
  const usages: ('sign' | 'verify' | 'deriveBits')[] = algorithm.name.startsWith('X')
    ? isPrivate
      ? ['deriveBits']
      : []
    : [isPrivate ? 'sign' : 'verify'];
  try {
    const key = await crypto.subtle.importKey(format, bytes, algorithm, true, usages);
    const { kty, crv, n, e, x, y } = await crypto.subtle.exportKey('jwk', key);
    return JSON.stringify([kty, crv, n, e, x, y]);
  } catch {
    return undefined;
  }
}

type ImportAlgorithm = { name: string; hash?: string; namedCurve?: string };

function importAlgorithm({ algorithm, curve = '' }: Container): ImportAlgorithm | undefined {
  if (algorithm === OID.rsa) return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  if (algorithm === OID.rsaPss) return { name: 'RSA-PSS', hash: 'SHA-256' };
  if (algorithm === OID.ed25519) return { name: 'Ed25519' };
  const namedCurve = CURVES[curve];
  return algorithm === OID.ec && namedCurve ? { name: 'ECDSA', namedCurve } : undefined;
}

/** Whether WebCrypto takes a JWK (RFC 7517) of type RSA, EC or OKP as a key. */
export async function isLoadableJwk(jwk: Readonly<Record<string, unknown>>): Promise<boolean> {
  const { kty, crv, n, e, x, y, d, p, q, dp, dq, qi } = jwk;
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const algorithm: ImportAlgorithm | undefined =
    kty === 'RSA'
      ? { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
      : kty === 'EC'
        ? { name: 'ECDSA', namedCurve: text(crv) ?? '' }
        : kty === 'OKP'
          ? { name: text(crv) ?? '' }
          : undefined;
  if (!algorithm) return false;
  const bare = Object.entries({ kty, crv, n, e, x, y, d, p, q, dp, dq, qi }).filter(([, value]) => value !== undefined);
  const agreement = algorithm.name.startsWith('X');
  const usages: ('sign' | 'verify' | 'deriveBits')[] = agreement ? (d ? ['deriveBits'] : []) : [d ? 'sign' : 'verify'];
  try {
    await crypto.subtle.importKey('jwk', Object.fromEntries(bare), algorithm, true, usages);
    return true;
  } catch {
    return false;
  }
}

export function toHex(bytes: ArrayBuffer | Uint8Array): string {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
