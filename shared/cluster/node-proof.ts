import { CompactSign, type CryptoKey, compactVerify, decodeProtectedHeader, importJWK } from 'jose';
import { utf8 } from '../bundle/canonical.ts';
import { json, object, ShapeError, string, stringLike } from '../bundle/shape.ts';
import { messageOf } from '../thrown.ts';

/** The header of the answer to an upgrade that holds the challenge a hello is to be proved by. */
export const CHALLENGE_HEADER = 'holdfast-challenge';

/** The header by which a data plane that polls shows that it is the one whose hello was taken. */
export const SESSION_HEADER = 'holdfast-session';

/** The `typ` of a proof (RFC 7515, 4.1.9). */
const PROOF_TYPE = 'holdfast-node-proof+jws';

/** A data plane's own key pair (Ed25519), by which it is known again. */
export interface NodeKey {
  /** The public half: `x` of its JWK (RFC 8037), base64url of 32 bytes. */
  readonly x: string;
  readonly privateKey: CryptoKey;
}

/** What is signed: who is speaking, on which connection. */
interface Claim {
  readonly node: string;
  /** Of the hello. */
  readonly nonce: string;
  /** From the control plane, for this hello alone. */
  readonly challenge: string;
}

/**
 * Proves that the sender of a hello has the node's key: a compact JWS that carries the public key in its header, in the
 * manner of DPoP (RFC 9449).
 */
export function proveNode(claim: Claim, { x, privateKey }: NodeKey): Promise<string> {
  return new CompactSign(utf8(JSON.stringify(claim)))
    .setProtectedHeader({ alg: 'EdDSA', typ: PROOF_TYPE, jwk: { kty: 'OKP', crv: 'Ed25519', x } })
    .sign(privateKey);
}

/**
 * The public half of the key that signed the proof, and the challenge it answers, which is the caller's to judge. Throws
 * `ShapeError` when it is not of this node and nonce, or the signature does not verify.
 */
export async function verifyNodeProof(
  jws: string,
  expected: Omit<Claim, 'challenge'>,
): Promise<{ readonly key: string; readonly challenge: string }> {
  const where = 'hello.proof';
  try {
    const { typ, jwk } = decodeProtectedHeader(jws);
    if (typ !== PROOF_TYPE) throw new ShapeError(`expected a JWS of type '${PROOF_TYPE}'`);
    const key = stringLike(object(jwk, 'jwk').x, 'jwk.x', /^[A-Za-z0-9_-]{43}$/, 'base64url of 32 bytes');
    const publicKey = await importJWK({ kty: 'OKP', crv: 'Ed25519', x: key }, 'EdDSA');
    const { payload } = await compactVerify(jws, publicKey, { algorithms: ['EdDSA'] });
    const read = object(json(new TextDecoder().decode(payload), 'payload'), 'payload');
    if (read.node !== expected.node || read.nonce !== expected.nonce) throw new ShapeError('made for another hello');
    return { key, challenge: string(read.challenge, 'challenge') };
  } catch (error) {
    throw new ShapeError(`${where}: ${messageOf(error)}`);
  }
}
