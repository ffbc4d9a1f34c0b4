import { sha256 } from '@noble/hashes/sha2.js';
import { encodeBase64 } from '../../http/base64.ts';
import type { HttpResponse } from '../../http/messages.ts';
import { sameText } from '../constant-time.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import { type Client, type ClientClaim, claimOf, findClient } from './clients.ts';
import {
  answer,
  described,
  type Endpoint,
  FOREIGN_REDIRECT_URI,
  grantOf,
  headerSafe,
  INVALID_CLIENT,
  INVALID_PROVISION_KEY,
  insecure,
  isError,
  type ProtocolError,
  provisioned,
  requiresProof,
  scopeOf,
  serviceOf,
  userIdOf,
} from './endpoint.ts';
import { type Parameters, parametersOf } from './parameters.ts';
import type { AuthorizationCode, IssuedToken } from './tokens.ts';

/** The token endpoint (RFC 6749 section 3.2). */
export async function issue(request: GatewayRequest, endpoint: Endpoint): Promise<HttpResponse> {
  const { config } = endpoint;
  const parameters = await parametersOf(request);
  const state = parameters.echo('state');
  const claim = claimOf(request, parameters, config.auth_header_name ?? 'authorization');
  const outcome = insecure(request, config) ?? (await grant(request, endpoint, parameters, claim));
  const body = { ...(isError(outcome) ? outcome : described(outcome, config)), ...(state !== undefined && { state }) };
  if (!isError(outcome)) return answer(request, 200, body);
  // RFC 6749 section 5.2: who tried by the header is told how to.
  const unknown = outcome === INVALID_CLIENT && claim.inHeader;
  return unknown
    ? answer(request, 401, body, { 'WWW-Authenticate': 'Basic realm="OAuth2.0"' })
    : answer(request, 400, body);
}

const invalidRequest = (error_description: string): ProtocolError => ({ error: 'invalid_request', error_description });

/** RFC 6749 section 4.4: its name alone would be a token to whoever knows it. */
const NOT_FOR_PUBLIC_CLIENTS: ProtocolError = {
  error: 'unauthorized_client',
  error_description: 'client_credentials is disallowed for public clients',
};

type Outcome = IssuedToken | ProtocolError;

async function grant(
  request: GatewayRequest,
  endpoint: Endpoint,
  parameters: Parameters,
  claim: ClientClaim,
): Promise<Outcome> {
  const { config } = endpoint;
  const type = parameters.text('grant_type');
  const client = await findClient(request, claim.clientId);
  const refusal = await refusalOf(client, claim, endpoint, parameters, type);
  if (refusal !== null) return refusal;
  switch (type) {
    case 'authorization_code':
      return client === null ? INVALID_CLIENT : byCode(request, endpoint, parameters, client);
    case 'refresh_token':
      return client === null ? INVALID_CLIENT : byRefreshToken(request, endpoint, parameters, client);
    case 'client_credentials':
      if (config.enable_client_credentials) return byClient(request, endpoint, parameters, client);
      break;
    case 'password':
      if (config.enable_password_grant) return byUser(request, endpoint, parameters, client);
  }
  return { error: 'unsupported_grant_type', error_description: 'Invalid grant_type' };
}

/** Why the client gets nothing, whatever it asks for. */
async function refusalOf(
  client: Client | null,
  { secret }: ClientClaim,
  { secrets }: Endpoint,
  parameters: Parameters,
  type: string | undefined,
): Promise<ProtocolError | null> {
  if (client?.confidential && !(await secrets.isOf(client, secret))) return INVALID_CLIENT;
  if (client !== null && !client.confidential && (secret ?? '').trim() !== '') {
    return invalidRequest('client_secret is disallowed for public clients');
  }
  if (type === 'client_credentials') return null;
  if (client?.redirectUris == null) return INVALID_CLIENT;
  const wanted = parameters.has('redirect_uri') ? parameters.text('redirect_uri') : client.redirectUris[0];
  return wanted !== undefined && client.redirectUris.includes(wanted) ? null : FOREIGN_REDIRECT_URI;
}

async function byCode(
  request: GatewayRequest,
  { config, place, tokens }: Endpoint,
  parameters: Parameters,
  client: Client,
): Promise<Outcome> {
  const text = parameters.text('code');
  const code = text === undefined ? null : await tokens.findCode(text);
  const service = serviceOf(request, config);
  const foreign = code !== null && service !== null && code.service !== service;
  if (text === undefined || code === null || foreign || code.credential !== client.id)
    return invalidRequest('Invalid code');
  if (code.challenge !== null || requiresProof(config, client)) {
    const unproved = verifierError(parameters, code);
    if (unproved !== null) return unproved;
  }
  if (config.global_credentials && code.plugin !== place.id) return invalidRequest('Invalid code');
  // Only now: who guesses at verifiers cannot use it up.
  if (!(await tokens.useCode(text))) return invalidRequest('Invalid code');
  const { userId, scope } = code;
  return tokens.issue(request, grantOf(config, client, { service, userId, scope, withRefresh: true }));
}

/** RFC 7636 section 4.6. */
function verifierError(parameters: Parameters, { challenge }: AuthorizationCode): ProtocolError | null {
  if (!parameters.has('code_verifier')) {
    return invalidRequest('code_verifier is required for PKCE authorization requests');
  }
  const verifier = parameters.text('code_verifier');
  if (verifier === undefined) return invalidRequest('code_verifier is not a string');
  if (verifier.length < 43 || verifier.length > 128) {
    return invalidRequest('code_verifier must be between 43 and 128 characters');
  }
  const digest = encodeBase64(sha256(new TextEncoder().encode(verifier)));
  const proved = digest.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  return challenge !== null && sameText(challenge, proved)
    ? null
    : { error: 'invalid_grant', error_description: 'Invalid code' };
}

async function byRefreshToken(
  request: GatewayRequest,
  { config, tokens }: Endpoint,
  parameters: Parameters,
  client: Client,
): Promise<Outcome> {
  const invalid = invalidRequest('Invalid refresh_token');
  const refresh = parameters.text('refresh_token');
  const old = refresh === undefined ? null : await tokens.findByRefresh(request, refresh);
  const service = serviceOf(request, config);
  if (refresh === undefined || old === null || (service !== null && old.service !== service)) return invalid;
  // What was granted for another service alone is not to become good for all of them here.
  if (old.service !== null && old.service !== request.service?.id) return invalid;
  if (old.credential !== client.id) return INVALID_CLIENT;
  const lost = old.scope?.split(/\s+/).some((scope) => scope !== '' && config.scopes?.includes(scope) !== true);
  if (lost === true) return { error: 'invalid_scope', error_description: 'Scope mismatch' };
  const { userId, scope } = old;
  const given = { userId, scope, withRefresh: true };
  if (config.reuse_refresh_token) {
    // The row stays what it was, its service included.
    return tokens.renew(request, old, grantOf(config, client, { service: old.service, ...given }), refresh);
  }
  if (!(await tokens.use(request, old, refresh))) return invalid;
  return tokens.issue(request, grantOf(config, client, { service, ...given }));
}

async function byClient(
  request: GatewayRequest,
  { config, tokens }: Endpoint,
  parameters: Parameters,
  client: Client | null,
): Promise<Outcome> {
  // Who names a user must be the one that knows them.
  const named = parameters.has('authenticated_userid');
  if (named && !provisioned(parameters, config)) return INVALID_PROVISION_KEY;
  if (client === null) return INVALID_CLIENT;
  if (!client.confidential) return NOT_FOR_PUBLIC_CLIENTS;
  const scope = scopeOf(parameters, config);
  if (isError(scope)) return scope;
  const userId = parameters.text('authenticated_userid') ?? null;
  if (userId !== null && !headerSafe(userId)) {
    return { error: 'invalid_authenticated_userid', error_description: 'authenticated_userid must be a header value' };
  }
  const given = { service: serviceOf(request, config), userId, ...scope, withRefresh: false };
  return tokens.issue(request, grantOf(config, client, given));
}

async function byUser(
  request: GatewayRequest,
  { config, tokens }: Endpoint,
  parameters: Parameters,
  client: Client | null,
): Promise<Outcome> {
  if (!provisioned(parameters, config)) return INVALID_PROVISION_KEY;
  const userId = userIdOf(parameters);
  if (isError(userId)) return userId;
  if (client === null) return INVALID_CLIENT;
  const scope = scopeOf(parameters, config);
  if (isError(scope)) return scope;
  const given = { service: serviceOf(request, config), userId, ...scope, withRefresh: true };
  return tokens.issue(request, grantOf(config, client, given));
}
