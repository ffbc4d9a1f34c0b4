import type { JwtConfig } from '../../shared/plugins/jwt.ts';
import type { Row } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { cookiesOf } from '../http/cookies.ts';
import { firstLine } from '../http/fields.ts';
import { queryValues } from '../proxy/query.ts';
import { authenticateBy, authenticator, consumerIdOf, type Refusal } from './authentication.ts';
import {
  decodeToken,
  fromBase64Url,
  type JsonWebToken,
  type VerificationKey,
  verificationKey,
} from './json-web-token.ts';
import { andThen } from './runtime/and-then.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import type { Services } from './runtime/services.ts';

/** Authenticates by a JSON Web Token of the query, a cookie or a header, signed with a key of a consumer's. */
const jwt: Plugin<JwtConfig> = {
  name: 'jwt',
  version: KONG_VERSION,
  priority: 1450,
  compile(config, _place, services) {
    const realm = config.realm ? ` realm="${config.realm}"` : '';
    const plain = { 'WWW-Authenticate': `Bearer${realm}` };
    const invalid = { 'WWW-Authenticate': `Bearer${realm} error="invalid_token"` };
    const refuse = (message: string): Refusal => ({ status: 401, body: { message }, headers: invalid });
    const unauthorized: Refusal = { status: 401, body: { message: 'Unauthorized' }, headers: plain };
    const name = config.key_claim_name ?? 'iss';
    const places: Places = {
      uri: config.uri_param_names ?? [],
      cookies: (config.cookie_names ?? []).map(cookiePattern),
      headers: (config.header_names ?? []).map((header) => [header, bearerPattern(header)]),
    };
    const verified = services.cache<Verified>('jwt', { maxBytes: VERIFIED_BYTES });
    const keys = new WeakMap<Row, VerificationKey>();

    const authenticate = authenticator(config.anonymous, (request) => {
      const tokens = tokensOf(request, places);
      const [token] = tokens;
      if (token === undefined) return unauthorized;
      if (tokens.size > 1) return refuse('Multiple tokens provided');
      if (token === true) return refuse('Unrecognizable token');
      // Parsing is most of what a token that was seen before costs; its times are looked at again.
      const known = verified.get(token);
      const decoded = known?.token ?? decodeToken(token);
      if ('refused' in decoded) return refuse(`Bad token; ${decoded.refused}`);
      const key = decoded.claims[name] ?? decoded.header[name];
      if (key === undefined || key === null) return refuse(`No mandatory '${name}' in claims`);
      if (typeof key !== 'string' || key === '') return refuse(`Invalid '${name}' in claims`);
      return andThen(request.lookup('jwt_secrets', key), (credential) => {
        if (credential === null) return refuse(`No credentials found for given '${name}'`);
        if (decoded.algorithm !== (credential.algorithm ?? 'HS256')) return refuse('Invalid algorithm');
        const judged =
          known?.by === credential && known.base64 === config.secret_is_base64 ? true : verify(decoded, credential);
        return andThen(judged, (good) => {
          if (typeof good === 'string') return refuse(good);
          if (!good) return refuse('Invalid signature');
          verified.set(
            token,
            { token: decoded, by: credential, base64: config.secret_is_base64 },
            VERIFIED_SECONDS,
            token.length * 3,
          );
          const errors = claimErrors(decoded, config);
          if (errors !== null) return { status: 401, body: errors, headers: invalid };
          return andThen(authenticateBy(request, credential, key), (known) => {
            if (!known) return refuse(`Could not find consumer for '${name}=${key}'`);
            request.shared.set('authenticated_jwt_token', token);
            return null;
          });
        });
      });
    });

    /** Whether the signature is the credential's; a text: the credential is no use. */
    function verify(token: JsonWebToken, credential: Row): boolean | string | Promise<boolean> {
      let key = keys.get(credential);
      if (key === undefined) {
        const secret = secretOf(credential, config.secret_is_base64);
        const symmetric = token.algorithm.startsWith('HS');
        if (symmetric ? secret === null : !credential.rsa_public_key) return 'Invalid key/secret';
        try {
          key = verificationKey(token.algorithm, secret ?? new Uint8Array(), String(credential.rsa_public_key ?? ''));
        } catch (error) {
          return unusable(services, credential, error);
        }
        keys.set(credential, key);
      }
      const good = key.verify(token);
      return good instanceof Promise ? good.catch((error: unknown) => unusable(services, credential, error)) : good;
    }

    return {
      access(request) {
        if (!config.run_on_preflight && request.method === 'OPTIONS') return undefined;
        return authenticate(request);
      },
      async claimant(request) {
        const [token] = tokensOf(request, places);
        const decoded = typeof token === 'string' ? decodeToken(token) : null;
        if (decoded === null || 'refused' in decoded) return undefined;
        const key = decoded.claims[name] ?? decoded.header[name];
        return typeof key === 'string' && key !== ''
          ? consumerIdOf(await request.lookup('jwt_secrets', key))
          : undefined;
      },
    };
  },
};

export default jwt;

/** A token whose signature was found to be a credential's; the row is another object once it has changed. */
interface Verified {
  readonly token: JsonWebToken;
  readonly by: Row;
  readonly base64: boolean;
}

const VERIFIED_BYTES = 4 * 1024 * 1024;
const VERIFIED_SECONDS = 300;

/** Where tokens are looked for; patterns find them in the Cookie line, and in the first line of a header. */
interface Places {
  readonly uri: readonly string[];
  readonly cookies: readonly RegExp[];
  readonly headers: readonly (readonly [name: string, pattern: RegExp])[];
}

/** All different tokens of a request; `true` for a query argument without a value. */
function tokensOf(request: GatewayRequest, { uri, cookies, headers }: Places): ReadonlySet<string | true> {
  const tokens = new Set<string | true>();
  for (const name of uri) {
    for (const value of queryValues(request.query, name)) if (value !== '') tokens.add(value);
  }
  if (cookies.length > 0) {
    const header = cookiesOf(request.headers) ?? '';
    for (const pattern of cookies) {
      const value = pattern.exec(header)?.[1];
      if (value !== undefined && value !== '') tokens.add(value);
    }
  }
  for (const [name, pattern] of headers) {
    const value = pattern.exec(firstLine(request.headers, name) ?? '')?.[1];
    if (value !== undefined) tokens.add(value);
  }
  return tokens;
}

/**
 * Spelt in two ways, and found anywhere, as in Kong. Of lines that the runtime joins the first is taken, but of Authorization, which
 * may come once: two of it are no token.
 */
function bearerPattern(header: string): RegExp {
  return header.toLowerCase() === 'authorization' ? /[Bb]earer\s+(.+)/ : /[Bb]earer\s+(.+?)(?:, |$)/s;
}

/** nginx finds cookies by names in any case. */
function cookiePattern(name: string): RegExp {
  return new RegExp(`(?:^|;)\\s*${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}=([^;]*)`, 'i');
}

function secretOf(credential: Row, base64: boolean): Uint8Array | null {
  const secret = String(credential.secret ?? '');
  return base64 ? fromBase64Url(secret) : new TextEncoder().encode(secret);
}

/** A public key that is none of the credential's algorithm (the control plane cannot know all curves): told to the log. */
function unusable(services: Services, credential: Row, error: unknown): false {
  services.log('error', `jwt: the key of credential ${credential.id} cannot be used: ${messageOf(error)}`);
  return false;
}

/** What is wrong with the times of a verified token, claim by claim; null: nothing. */
function claimErrors({ claims }: JsonWebToken, config: JwtConfig): Record<string, string> | null {
  const now = Math.floor(Date.now() / 1000);
  const errors: Record<string, string> = {};
  for (const name of config.claims_to_verify ?? []) {
    const value = claims[name];
    if (typeof value !== 'number') errors[name] = 'must be a number';
    else if (name === 'exp' && value <= now) errors.exp = 'token expired';
    else if (name === 'nbf' && value > now) errors.nbf = 'token not valid yet';
  }
  if (Object.keys(errors).length > 0) return errors;
  const most = config.maximum_expiration ?? 0;
  const { exp } = claims;
  if (most > 0 && (typeof exp !== 'number' || exp - now > most)) return { exp: 'exceeds maximum allowed expiration' };
  return null;
}
