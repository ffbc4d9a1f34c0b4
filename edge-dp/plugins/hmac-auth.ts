import { hmac } from '@noble/hashes/hmac.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { isToken } from '../../shared/head.ts';
import type { HmacAuthConfig } from '../../shared/plugins/hmac-auth.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { decodeBase64, encodeBase64 } from '../http/base64.ts';
import { parseHttpDate } from '../http/http-date.ts';
import { authenticateBy, authenticator, consumerIdOf, type Refusal } from './authentication.ts';
import { sameBytes } from './constant-time.ts';
import { andThen } from './runtime/and-then.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/**
 * Authenticates by a signature over headers of the request, made with a secret that the client shares (draft-cavage-http-signatures, in
 * Kong's form), and over a digest of its body.
 */
const hmacAuth: Plugin<HmacAuthConfig> = {
  name: 'hmac-auth',
  version: KONG_VERSION,
  priority: 1030,
  compile(config) {
    const headers = { 'WWW-Authenticate': config.realm ? `hmac realm="${config.realm}"` : 'hmac' };
    const refusal = (message: string, status = 401): Refusal => ({ status, message, headers });
    const missing = refusal('Unauthorized');
    const untimely = refusal(
      'HMAC signature cannot be verified, a valid date or x-date header is required for HMAC Authentication',
    );
    const unverifiable = refusal('HMAC signature cannot be verified');
    const different = refusal('HMAC signature does not match');
    const tooLong = refusal(`The digest of a request body is verified up to ${BODY_LIMIT} bytes`, 413);

    const algorithms: ReadonlySet<string> = new Set(config.algorithms);
    const enforced = config.enforce_headers ?? [];
    const skew = config.clock_skew ?? DEFAULT_SKEW;

    /** Null: it is the body that was signed, or need not be. */
    const checkBody = (request: GatewayRequest): Refusal | null | Promise<Refusal | null> => {
      if (!config.validate_request_body) return null;
      const digest = request.headers.get('digest');
      if (digest === null && request.body.length === 0) return null;
      return request.body.read(BODY_LIMIT).then(async (body) => {
        if (body === null) return tooLong;
        if (digest === null) return body.length === 0 ? null : different;
        return digest === (await digestOf(body)) ? null : different;
      });
    };

    return {
      access: authenticator(config.anonymous, (request) => {
        const forProxy = request.headers.get('proxy-authorization');
        const own = request.headers.get('authorization');
        if (forProxy === null && own === null) return missing;
        if (!isTimely(request, 'x-date', skew) && !isTimely(request, 'date', skew)) return untimely;

        const proxySignature = parseSignature(forProxy);
        const signature = proxySignature ?? parseSignature(own);
        if (config.hide_credentials) {
          request.headers.delete(proxySignature === null ? 'authorization' : 'proxy-authorization');
        }
        if (signature === null) return unverifiable;
        const { username, algorithm, names } = signature;
        const sign = algorithms.has(algorithm) ? ALGORITHMS.get(algorithm) : undefined;
        if (sign === undefined || enforced.some((name) => !names.includes(name))) return unverifiable;

        return andThen(request.lookup('hmacauth_credentials', username), (credential) => {
          if (typeof credential?.secret !== 'string') return unverifiable;
          const text = signingString(request, names);
          if (text === null) return unverifiable;
          const due = sign(credential.secret, text);
          if (signature.bytes === null || !sameBytes(due, signature.bytes)) return different;
          return andThen(checkBody(request), (refused) => {
            if (refused !== null) return refused;
            return andThen(authenticateBy(request, credential, username), (known) => (known ? null : unverifiable));
          });
        });
      }),
      async claimant(request) {
        const signature =
          parseSignature(request.headers.get('proxy-authorization')) ??
          parseSignature(request.headers.get('authorization'));
        if (signature === null) return undefined;
        return consumerIdOf(await request.lookup('hmacauth_credentials', signature.username));
      },
    };
  },
};

export default hmacAuth;

/** Bodies whose digest is verified are held in memory. */
const BODY_LIMIT = 8 << 20;
/** Seconds. */
const DEFAULT_SKEW = 300;

type Sign = (secret: string, text: string) => Uint8Array;

const utf8 = new TextEncoder();
const signWith =
  (hash: typeof sha1 | typeof sha256 | typeof sha512): Sign =>
  (secret, text) =>
    hmac(hash, utf8.encode(secret), utf8.encode(text));

const ALGORITHMS: ReadonlyMap<string, Sign> = new Map([
  ['hmac-sha1', signWith(sha1)],
  ['hmac-sha256', signWith(sha256)],
  ['hmac-sha384', signWith(sha384)],
  ['hmac-sha512', signWith(sha512)],
]);

interface Signature {
  readonly username: string;
  readonly algorithm: string;
  /** What is signed, in order. */
  readonly names: readonly string[];
  /** Null: it is no base64. */
  readonly bytes: Uint8Array | null;
}

/** In this order, as in Kong, and with nothing quoted behind. Some clients quote the whole: its first quote may stand there. */
const SIGNATURE =
  /^\s*"?[Hh]mac\s*username="(.+)",\s*algorithm="([^"]+)",\s*headers="([^"]+)",\s*signature="([^"]+)"[^"]*$/;

function parseSignature(value: string | null): Signature | null {
  const match = value === null ? null : SIGNATURE.exec(value);
  if (match === null) return null;
  const [, username = '', algorithm = '', names = '', signature = ''] = match;
  return { username, algorithm, names: names.split(' '), bytes: decodeBase64(signature) };
}

/** Whether the header says when the request was made, and that is now. */
function isTimely(request: GatewayRequest, header: string, skew: number): boolean {
  const value = request.headers.get(header);
  const madeAt = value === null ? null : parseHttpDate(value);
  return madeAt !== null && Math.abs(Math.floor(Date.now() / 1000) - madeAt) <= skew;
}

/** Characters of what is signed: several times what a head may have. */
const LONGEST_SIGNED = 256 << 10;

/**
 * One line for each name, of the request target as it was received. Null: it is longer than anybody signs, since a long header is named
 * again and again. Nobody is known yet for whom that would be worth the time.
 */
function signingString(request: GatewayRequest, names: readonly string[]): string | null {
  const known = new Map<string, string>();
  const lines: string[] = [];
  let length = 0;
  for (const name of names) {
    let line = known.get(name);
    if (line === undefined) {
      line = signedLine(request, name);
      known.set(name, line);
    }
    length += line.length + 1;
    if (length > LONGEST_SIGNED) return null;
    lines.push(line);
  }
  return lines.join('\n');
}

function signedLine(request: GatewayRequest, name: string): string {
  const value = isToken(name) ? request.headers.get(name) : null;
  if (value !== null) return `${name}: ${value}`;
  if (name === '@request-target') return `${name}: ${request.method.toLowerCase()} ${request.rawTarget}`;
  if (name === 'request-line') return `${request.method} ${request.rawTarget} HTTP/${version(request)}`;
  return `${name}:`;
}

function version({ incoming }: GatewayRequest): string {
  return incoming.version.includes('.') ? incoming.version : `${incoming.version}.0`;
}

/** The value of a Digest header (RFC 3230). */
async function digestOf(body: Uint8Array): Promise<string> {
  return `SHA-256=${encodeBase64(new Uint8Array(await crypto.subtle.digest('SHA-256', body)))}`;
}
