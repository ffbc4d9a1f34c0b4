import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { randomSecret } from '../../../shared/random-secret.ts';
import { isRecord, type Row } from '../../../shared/record.ts';
import type { GatewayRequest } from '../runtime/request.ts';
import type { Cache, Records, Services } from '../runtime/services.ts';
import type { Client } from './clients.ts';

/** A token as data planes know it: with digests in the place of what clients show. */
export interface Token {
  readonly id: string;
  /** Null: good for every service. */
  readonly service: string | null;
  readonly credential: string;
  readonly userId: string | null;
  readonly scope: string | null;
  /** Unix seconds. */
  readonly createdAt: number;
  /** Seconds; 0: for ever. */
  readonly expiresIn: number;
  /** Digest. */
  readonly access: string;
}

/** What a client is given (RFC 6749 section 5.1), beside what it is told of it. */
export interface IssuedToken {
  readonly access: string;
  readonly refresh: string | null;
}

export interface Grant {
  readonly client: Client;
  readonly service: string | null;
  readonly userId: string | null;
  readonly scope: string | null;
  /** Seconds. */
  readonly expiresIn: number;
  readonly refreshTtl: number;
  readonly withRefresh: boolean;
}

/** A code to be exchanged for a token (RFC 6749 section 4.1.2). */
export interface AuthorizationCode {
  readonly service: string | null;
  readonly credential: string;
  readonly userId: string | null;
  readonly scope: string | null;
  readonly challenge: string | null;
  readonly plugin: string;
}

/** Seconds. */
const CODE_TTL = 300;
/** Seconds a token that was found is known without asking: as long may one be used that was deleted. */
const BELIEVED = 1;
const REMEMBERED_BYTES = 4 << 20;

/**
 * Tokens and codes, shared by all data planes; the rows of `oauth2_tokens` at the Admin API are the same. Kept by the SHA-256 of
 * what clients show: nobody can use what a data plane has on disk.
 */
export class Tokens {
  readonly #byAccess: Records;
  readonly #byRefresh: Records;
  readonly #codes: Records;
  readonly #lately: Cache<Token>;

  constructor(services: Services) {
    this.#byAccess = services.records('oauth2_tokens.access_token', 'cluster');
    this.#byRefresh = services.records('oauth2_tokens.refresh_token', 'cluster');
    this.#codes = services.records('oauth2_codes', 'cluster');
    this.#lately = services.cache('oauth2 tokens', { maxBytes: REMEMBERED_BYTES });
  }

  /** The token of a request; at once when it was asked for a moment ago. Null: none that is known in the request's workspace. */
  find(request: GatewayRequest, access: string): Token | null | Promise<Token | null> {
    const key = `${request.workspace} ${digestOf(access)}`;
    return this.#lately.get(key) ?? this.#find(request, access, key);
  }

  async #find(request: GatewayRequest, access: string, key: string): Promise<Token | null> {
    const shared = tokenOf(await this.#byAccess.get(digestOf(access)), request.workspace);
    const token = shared ?? declared(await request.lookup('oauth2_tokens', access), request.workspace);
    if (token !== null) this.#lately.set(key, token, BELIEVED, 600);
    return token;
  }

  async findByRefresh(request: GatewayRequest, refresh: string): Promise<Token | null> {
    return tokenOf(await this.#byRefresh.get(digestOf(refresh)), request.workspace);
  }

  async issue(request: GatewayRequest, grant: Grant): Promise<IssuedToken> {
    const refresh = grant.withRefresh && grant.expiresIn > 0 ? randomSecret(32) : null;
    return this.#write(request.workspace, crypto.randomUUID(), grant, refresh);
  }

  /** Another access token for a refresh token that stays. */
  async renew(request: GatewayRequest, old: Token, grant: Grant, refresh: string): Promise<IssuedToken> {
    await this.#end(request, old);
    return this.#write(request.workspace, old.id, grant, refresh);
  }

  /** Uses a refresh token up, its access token with it. False: somebody else was faster. */
  async use(request: GatewayRequest, old: Token, refresh: string): Promise<boolean> {
    if ((await this.#byRefresh.take(digestOf(refresh))) === null) return false;
    await this.#end(request, old);
    return true;
  }

  async #end(request: GatewayRequest, { access }: Token): Promise<void> {
    this.#lately.delete(`${request.workspace} ${access}`);
    await this.#byAccess.delete(access);
  }

  async #write(workspace: string, id: string, grant: Grant, refresh: string | null): Promise<IssuedToken> {
    const { client, service, userId, scope, expiresIn, refreshTtl } = grant;
    const access = randomSecret(32);
    const row = {
      id,
      ws_id: workspace,
      created_at: Math.floor(Date.now() / 1000),
      service_id: service,
      credential_id: client.id,
      token_type: 'bearer',
      expires_in: expiresIn,
      access_token: digestOf(access),
      refresh_token: refresh === null ? null : digestOf(refresh),
      authenticated_userid: userId,
      scope,
    };
    const secrets = { access_token: access, refresh_token: refresh };
    // Kong's `ttl`: of the refresh token, and of a token without one, too.
    const ttl = expiresIn > 0 ? refreshTtl : 0;
    const written = [this.#byAccess.put(row.access_token, row, ttl, secrets)];
    if (row.refresh_token !== null) written.push(this.#byRefresh.put(row.refresh_token, row, ttl, secrets));
    await Promise.all(written);
    return { access, refresh };
  }

  async addCode(code: AuthorizationCode): Promise<string> {
    const text = randomSecret(32);
    await this.#codes.put(digestOf(text), code, CODE_TTL);
    return text;
  }

  async findCode(text: string): Promise<AuthorizationCode | null> {
    return codeOf(await this.#codes.get(digestOf(text)));
  }

  /** False: somebody else was faster. */
  async useCode(text: string): Promise<boolean> {
    return (await this.#codes.take(digestOf(text))) !== null;
  }
}

export function digestOf(text: string): string {
  return bytesToHex(sha256(new TextEncoder().encode(text)));
}

/** A row as the control plane's table and data planes have it. */
function tokenOf(value: unknown, workspace: string): Token | null {
  if (!isRecord(value) || value.ws_id !== workspace) return null;
  return {
    id: String(value.id),
    service: textOf(value.service_id),
    credential: String(value.credential_id),
    userId: textOf(value.authenticated_userid),
    scope: textOf(value.scope),
    createdAt: Number(value.created_at),
    expiresIn: Number(value.expires_in),
    access: String(value.access_token),
  };
}

/** A token of a data plane's own declarative config. */
function declared(row: Row | null, workspace: string): Token | null {
  if (row === null) return null;
  const { service, credential } = row;
  return tokenOf(
    {
      ...row,
      ws_id: workspace,
      service_id: isRecord(service) ? service.id : null,
      credential_id: isRecord(credential) ? credential.id : null,
    },
    workspace,
  );
}

function codeOf(value: unknown): AuthorizationCode | null {
  if (!isRecord(value)) return null;
  return {
    service: textOf(value.service),
    credential: String(value.credential),
    userId: textOf(value.userId),
    scope: textOf(value.scope),
    challenge: textOf(value.challenge),
    plugin: String(value.plugin),
  };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
