import { isRecord } from '../../../shared/record.ts';
import { decodeBase64, encodeBase64 } from '../../http/base64.ts';
import type { Services } from '../runtime/services.ts';
import { readResponse } from './read-response.ts';

/** Access tokens of a Google service account (RFC 7523), each used until a minute before it ends. */
export class ServiceAccount {
  readonly #account: { readonly email: string; readonly key: Uint8Array; readonly tokenUrl: string };
  readonly #services: Services;
  #token: { readonly value: string; readonly until: number } | null = null;

  /** `json`: the account's key file. Throws what is wrong with it, without any of it. */
  constructor(json: string, services: Services) {
    this.#account = readAccount(json);
    this.#services = services;
  }

  /** Throws `ServiceError`, or what the token server refused it with. */
  async token(): Promise<string> {
    const now = Date.now();
    if (this.#token !== null && now < this.#token.until) return this.#token.value;
    const { tokenUrl } = this.#account;
    const response = await this.#services.fetch({
      url: tokenUrl,
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: `grant_type=${encodeURIComponent(GRANT)}&assertion=${await this.#assertion(now)}`,
      timeout: 10_000,
    });
    const text = await readResponse(response, 65_536);
    const told: unknown = response.status === 200 && text !== null ? JSON.parse(text) : null;
    if (!isRecord(told) || typeof told.access_token !== 'string') {
      throw new Error(`${tokenUrl} gave no token for the service account (status ${response.status})`);
    }
    const seconds = typeof told.expires_in === 'number' ? told.expires_in : 3600;
    this.#token = { value: told.access_token, until: now + (seconds - 60) * 1000 };
    return told.access_token;
  }

  async #assertion(now: number): Promise<string> {
    const { email, key, tokenUrl } = this.#account;
    const issued = Math.floor(now / 1000);
    const claims = { iss: email, scope: SCOPE, aud: tokenUrl, iat: issued, exp: issued + 3600 };
    const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
    const signing = await crypto.subtle.importKey('pkcs8', key.slice(), RS256, false, ['sign']);
    const signature = await crypto.subtle.sign(RS256, signing, UTF8.encode(text));
    return `${text}.${urlSafe(encodeBase64(new Uint8Array(signature)))}`;
  }
}

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const RS256 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
const UTF8 = new TextEncoder();

function readAccount(json: string) {
  let account: unknown;
  try {
    account = JSON.parse(json);
  } catch {
    throw new Error('auth.gcp_service_account_json is no JSON');
  }
  if (!isRecord(account)) throw new Error('auth.gcp_service_account_json is no JSON object');
  const { client_email: email, private_key: pem, token_uri: tokenUrl } = account;
  const body = typeof pem === 'string' ? /-----BEGIN PRIVATE KEY-----([^-]*)-----END/.exec(pem)?.[1] : undefined;
  const key = body === undefined ? null : decodeBase64(body.replace(/\s/g, ''));
  if (typeof email !== 'string' || key === null) {
    throw new Error('auth.gcp_service_account_json needs client_email and private_key (PKCS #8 as PEM)');
  }
  return { email, key, tokenUrl: typeof tokenUrl === 'string' ? tokenUrl : 'https://oauth2.googleapis.com/token' };
}

function part(value: unknown): string {
  return urlSafe(encodeBase64(UTF8.encode(JSON.stringify(value))));
}

function urlSafe(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
