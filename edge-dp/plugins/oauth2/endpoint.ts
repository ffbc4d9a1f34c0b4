import type { OAuth2Config } from '../../../shared/plugins/oauth2.ts';
import type { HttpResponse } from '../../http/messages.ts';
import { sameText } from '../constant-time.ts';
import type { Place } from '../runtime/plugin.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import type { Client, ClientSecrets } from './clients.ts';
import type { Parameters } from './parameters.ts';
import type { Grant, IssuedToken, Tokens } from './tokens.ts';

/** What both endpoints work with. */
export interface Endpoint {
  readonly config: OAuth2Config;
  readonly place: Place;
  readonly tokens: Tokens;
  readonly secrets: ClientSecrets;
}

/** An error of RFC 6749 sections 4.1.2.1 and 5.2, or one of Kong's own. */
export interface ProtocolError {
  readonly error: string;
  readonly error_description: string;
}

export const INVALID_CLIENT: ProtocolError = {
  error: 'invalid_client',
  error_description: 'Invalid client authentication',
};

export const INVALID_PROVISION_KEY: ProtocolError = {
  error: 'invalid_provision_key',
  error_description: 'Invalid provision_key',
};

export const FOREIGN_REDIRECT_URI: ProtocolError = {
  error: 'invalid_request',
  error_description: 'Invalid redirect_uri that does not match with any redirect_uri created with the application',
};

/** No cache may keep what an endpoint answers (RFC 6749 section 5.1). */
const UNCACHED = { 'cache-control': 'no-store', pragma: 'no-cache' };

export function answer(
  request: GatewayRequest,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpResponse {
  return request.exit(status, body, { ...UNCACHED, ...headers });
}

/** Whether who asks is the page at which people log in, which knows the key. */
export function provisioned(parameters: Parameters, { provision_key }: OAuth2Config): boolean {
  return provision_key !== null && sameText(provision_key, parameters.text('provision_key') ?? '');
}

/** Null: the request came over HTTPS, or a trusted proxy says so and may. */
export function insecure(
  request: GatewayRequest,
  { accept_http_if_already_terminated }: OAuth2Config,
): ProtocolError | null {
  const denied = (error_description: string): ProtocolError => ({ error: 'access_denied', error_description });
  if (request.scheme === 'https') return null;
  if (accept_http_if_already_terminated && request.client.trusted) {
    const proto = request.headers.get('x-forwarded-proto') ?? '';
    if (proto.includes(',')) return denied('Only one X-Forwarded-Proto header allowed');
    if (proto.toLowerCase() === 'https') return null;
  }
  return denied('You must use HTTPS');
}

/** The user a token is to be of. */
export function userIdOf(parameters: Parameters): string | ProtocolError {
  const userId = parameters.text('authenticated_userid');
  const error = 'invalid_authenticated_userid';
  if (userId === undefined || userId.trim() === '') {
    return { error, error_description: 'Missing authenticated_userid parameter' };
  }
  return headerSafe(userId) ? userId : { error, error_description: 'authenticated_userid must be a header value' };
}

/** Upstreams are told of it in a header. */
export function headerSafe(text: string): boolean {
  return text.length <= LONGEST_USER_ID && !UNSAFE.test(text) && text.isWellFormed();
}

const LONGEST_USER_ID = 4096;
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what may not be in a header
const UNSAFE = /[\x00-\x1f\x7f]/;

/** The scopes asked for, all of them known; null: none. */
export function scopeOf(
  parameters: Parameters,
  { scopes, mandatory_scope }: OAuth2Config,
): { readonly scope: string | null } | ProtocolError {
  const invalid = (error_description: string): ProtocolError => ({ error: 'invalid_scope', error_description });
  const missing = invalid('You must specify a scope');
  if (!parameters.has('scope')) return mandatory_scope ? missing : { scope: null };
  if (!scopes) return { scope: null };
  const text = parameters.text('scope');
  if (text === undefined) return invalid('scope must be a string');
  const asked = text.split(/\s+/).filter((one) => one !== '');
  const unknown = asked.find((one) => !scopes.includes(one));
  if (unknown !== undefined) return invalid(`"${unknown}" is an invalid scope`);
  if (asked.length === 0) return mandatory_scope ? missing : { scope: null };
  return { scope: asked.join(' ') };
}

export function isError(value: unknown): value is ProtocolError {
  return typeof value === 'object' && value !== null && 'error' in value;
}

/** Whether a client must prove by a verifier that it is the one that asked for a code (RFC 7636). */
export function requiresProof({ pkce }: OAuth2Config, client: Client): boolean {
  return client.confidential ? pkce === 'strict' : pkce !== 'none';
}

/** What tokens of this configuration are good for: its service, or every one. Throws on a route without one, as Kong does. */
export function serviceOf(request: GatewayRequest, { global_credentials }: OAuth2Config): string | null {
  if (global_credentials) return null;
  if (request.service === null)
    throw new Error('a route without a service has no tokens unless global_credentials is set');
  return request.service.id;
}

export function grantOf(
  config: OAuth2Config,
  client: Client,
  given: Pick<Grant, 'service' | 'userId' | 'scope' | 'withRefresh'>,
): Grant {
  return { client, ...given, expiresIn: config.token_expiration, refreshTtl: config.refresh_token_ttl };
}

/** A token as its client is told of it. */
export function described({ access, refresh }: IssuedToken, { token_expiration }: OAuth2Config) {
  return {
    access_token: access,
    token_type: 'bearer',
    ...(token_expiration > 0 && { expires_in: token_expiration }),
    ...(refresh !== null && { refresh_token: refresh }),
  };
}
