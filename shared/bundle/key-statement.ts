import { base64url } from 'jose';
import { messageOf } from '../thrown.ts';
import { UUID } from '../uuid.ts';
import { canonicalBytes } from './canonical.ts';
import type { PublicKeyJwk } from './format.ts';
import { publicKey } from './public-key.ts';
import { arrayOf, exactObject, integer, json, ShapeError, string, stringLike } from './shape.ts';
import { sign, typeOf, verifySignature } from './signature.ts';
import type { SigningKey } from './signing.ts';

/** The `typ` of a statement about signing keys (RFC 7515, 4.1.9). */
const STATEMENT_TYPE = 'holdfast-keys+jws';

/** Statements that are followed at most, and characters of one. */
const MOST_STATEMENTS = 1_000;
const LARGEST_STATEMENT = 64 << 10;

/**
 * What a cluster says of its signing keys: each statement is signed by a key that the one before it trusts, so that whoever
 * trusts any of them can follow to the last, and nobody can be led back.
 */
export interface KeyStatement {
  readonly cluster: string;
  /** 1 for the first; whoever followed one takes none of the same number or a lower one. */
  readonly number: number;
  /** Unix seconds. */
  readonly issued_at: number;
  /** What was published then: where a revoked key signed something further on, serials go on from here. */
  readonly serial: number;
  /** `kid` of the key that control planes sign with from now on. */
  readonly signing: string;
  /** All that are trusted from now on besides those that data planes were given themselves. */
  readonly keys: readonly PublicKeyJwk[];
  /** All that were ever revoked: not believed even where a data plane was given them itself. */
  readonly revoked: readonly PublicKeyJwk[];
}

/** Signs a statement: a compact JWS. */
export function signStatement(statement: KeyStatement, key: SigningKey): Promise<string> {
  return sign(canonicalBytes(statement), STATEMENT_TYPE, key);
}

/** Whether a JWS claims to be a statement about keys. */
export function isStatement(jws: string): boolean {
  return typeOf(jws) === STATEMENT_TYPE;
}

/** What a statement says; its signature is not asked about, as by a control plane that has it from its own database. */
export function readStatement(jws: string): KeyStatement {
  return parse(new TextDecoder().decode(base64url.decode(jws.split('.')[1] ?? '')));
}

/** Whom to believe. */
export interface KeyTrust {
  /** Number of the last statement that was followed; 0: none. */
  readonly number: number;
  /** Trusted, none of them revoked. */
  readonly keys: readonly PublicKeyJwk[];
  readonly revoked: readonly PublicKeyJwk[];
  /** Of the last statement; null: none. */
  readonly serial: number | null;
  /** What led here, to be followed again after a restart. */
  readonly statements: readonly string[];
  /** Why statements were not followed that claim to be newer. */
  readonly faults: readonly string[];
}

/**
 * Follows statements from keys that are trusted (`pinned`). One that is signed by nobody who is trusted by then is passed over,
 * as the first ones are by who was given a later key. Never throws.
 */
export async function followStatements(
  pinned: readonly PublicKeyJwk[],
  cluster: string | null,
  statements: readonly string[],
): Promise<KeyTrust> {
  let trust: KeyTrust = { number: 0, keys: pinned, revoked: [], serial: null, statements: [], faults: [] };
  for (const jws of statements.slice(0, MOST_STATEMENTS)) {
    if (trust.statements.includes(jws)) continue;
    try {
      const statement = await verifyStatement(jws, trust.keys, cluster);
      if (statement.number <= trust.number) continue;
      trust = {
        number: statement.number,
        keys: without([...pinned, ...statement.keys], statement.revoked),
        revoked: statement.revoked,
        serial: statement.serial,
        statements: [...trust.statements, jws],
        faults: [],
      };
    } catch (error) {
      trust = { ...trust, faults: [...trust.faults, messageOf(error)] };
    }
  }
  return trust;
}

/** The keys whose `kid` is none of the others', each once. */
export function without(keys: readonly PublicKeyJwk[], others: readonly PublicKeyJwk[]): readonly PublicKeyJwk[] {
  const gone = new Set(others.map(({ kid }) => kid));
  const kept = new Map(keys.filter(({ kid }) => !gone.has(kid)).map((key) => [key.kid, key]));
  return [...kept.values()];
}

async function verifyStatement(
  jws: string,
  keys: readonly PublicKeyJwk[],
  cluster: string | null,
): Promise<KeyStatement> {
  if (jws.length > LARGEST_STATEMENT) throw new ShapeError(`statement of keys: more than ${LARGEST_STATEMENT} bytes`);
  const payload = await verifySignature(jws, keys, { type: STATEMENT_TYPE, what: 'statement of keys' });
  const statement = parse(new TextDecoder().decode(payload));
  if (cluster === null || statement.cluster === cluster) return statement;
  throw new ShapeError(
    `statement of keys: of cluster ${statement.cluster}, but this node belongs to cluster ${cluster}`,
  );
}

const MEMBERS = ['cluster', 'number', 'issued_at', 'serial', 'signing', 'keys', 'revoked'];

function parse(text: string): KeyStatement {
  const read = exactObject(json(text, 'statement of keys'), 'statement of keys', MEMBERS);
  return {
    cluster: stringLike(read.cluster, 'statement.cluster', UUID, 'a UUID'),
    number: integer(read.number, 'statement.number', 1),
    issued_at: integer(read.issued_at, 'statement.issued_at'),
    serial: integer(read.serial, 'statement.serial'),
    signing: string(read.signing, 'statement.signing'),
    keys: arrayOf(read.keys, 'statement.keys', publicKey),
    revoked: arrayOf(read.revoked, 'statement.revoked', publicKey),
  };
}
