import type { KeyAuthConfig } from '../../shared/plugins/key-auth.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { queryValues, withoutArgument } from '../proxy/query.ts';
import { authenticateBy, authenticator, consumerIdOf, expired, type Refusal } from './authentication.ts';
import { andThen } from './runtime/and-then.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/**
 * Authenticates by an API key in a header, the query string or the body. Data planes hold only the SHA-256 of keys, so
 * the credential is found by what the client sent, though only its digest travels in the bundle.
 */
const keyAuth: Plugin<KeyAuthConfig> = {
  name: 'key-auth',
  version: KONG_VERSION,
  priority: 1250,
  compile(config) {
    const challenge = { 'WWW-Authenticate': config.realm ? `Key realm="${config.realm}"` : 'Key' };
    const unauthorized = (message: string): Refusal => ({ status: 401, message, headers: challenge });

    const authenticate = authenticator(config.anonymous, (request) =>
      andThen<KeySearch, Refusal | null>(findKey(config, request), (found) => {
        if (found === 'duplicate') return unauthorized('Duplicate API key found');
        if (found === null || found.key === '') return unauthorized('No API key found in request');
        return andThen(request.lookup('keyauth_credentials', found.key), (credential) => {
          if (credential === null || expired(credential))
            return unauthorized(found.repeated ? 'Duplicate API key found' : 'Unauthorized');
          return andThen(authenticateBy(request, credential, String(credential.id), found.key), (known) =>
            known ? null : unauthorized('Unauthorized'),
          );
        });
      }),
    );

    return {
      access(request) {
        if (!config.run_on_preflight && request.method === 'OPTIONS') return undefined;
        return authenticate(request);
      },
      async claimant(request) {
        const found = await findKey({ ...config, key_in_body: false }, request);
        if (found === null || found === 'duplicate' || found.key === '') return undefined;
        return consumerIdOf(await request.lookup('keyauth_credentials', found.key));
      },
    };
  },
};

export default keyAuth;

interface FoundKey {
  readonly key: string;
  /** It may be several header lines, which the runtime joins with a comma: told apart only once it is unknown. */
  readonly repeated: boolean;
}

/** Bodies are searched up to this size. */
const BODY_LIMIT = 1 << 20;

type KeySearch = FoundKey | 'duplicate' | null;

/** A promise only where the body is looked into, or changed. `from`: the first of the names that is looked for. */
function findKey(config: KeyAuthConfig, request: GatewayRequest, from = 0): KeySearch | Promise<KeySearch> {
  for (let at = from; at < config.key_names.length; at++) {
    const name = config.key_names[at] ?? '';
    let values: readonly (string | true)[] = [];
    if (config.key_in_header) {
      const value = request.headers.get(name) ?? request.headers.get(name.replaceAll('_', '-'));
      if (value !== null) values = [value];
    }
    const inHeader = values.length > 0;
    if (values.length === 0 && config.key_in_query) values = queryValues(request.query, name);
    if (values.length === 0 && config.key_in_body) return findInBody(config, request, at);
    const found = foundKey(config, request, name, values, inHeader);
    if (found !== null) return found;
  }
  return null;
}

async function findInBody(config: KeyAuthConfig, request: GatewayRequest, at: number): Promise<KeySearch> {
  const name = config.key_names[at] ?? '';
  const values = (await request.body.arguments(BODY_LIMIT))?.values(name) ?? [];
  return (await foundKey(config, request, name, values, false)) ?? findKey(config, request, at + 1);
}

/** Null: none of that name. */
function foundKey(
  config: KeyAuthConfig,
  request: GatewayRequest,
  name: string,
  values: readonly (string | true)[],
  inHeader: boolean,
): KeySearch | Promise<KeySearch> {
  if (values.length > 1) return 'duplicate';
  const [key] = values;
  if (typeof key !== 'string') return null;
  const found = { key, repeated: inHeader && key.includes(', ') };
  return config.hide_credentials ? hide(request, name, config.key_in_body).then(() => found) : found;
}

async function hide(request: GatewayRequest, name: string, inBody: boolean): Promise<void> {
  request.query = withoutArgument(request.query, name);
  request.headers.delete(name);
  request.headers.delete(name.replaceAll('_', '-'));
  if (!inBody) return;
  const fields = await request.body.arguments(BODY_LIMIT);
  if (fields !== null && fields.values(name).length > 0) request.body.replace(fields.without(name));
}
