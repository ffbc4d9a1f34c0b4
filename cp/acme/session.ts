import { createHmac, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, FlattenedSign, type JWK } from 'jose';
import { AcmeError } from './error.ts';
import type { AcmeAnswer, AcmeHttp } from './http.ts';

/** How often a request is sent again for a nonce the server did not take. */
const MOST_NONCES = 8;
const BAD_NONCE = 'urn:ietf:params:acme:error:badNonce';

/** What an account is registered with. */
export interface Registration {
  readonly email: string;
  readonly tosAccepted: boolean;
  /** External account binding (RFC 8555 section 7.3.4): an id, and the MAC key in base64url. */
  readonly binding: { readonly id: string; readonly key: string } | null;
}

/** An account at an ACME server, by whose key requests are signed (RFC 8555 section 6.2). */
export class AcmeSession {
  readonly #http: AcmeHttp;
  readonly #key: KeyObject;
  readonly #jwk: JWK;
  readonly #directory: Readonly<Record<string, string>>;
  readonly #thumbprint: string;
  #account: string | null = null;
  #nonce: string | null = null;

  private constructor(
    http: AcmeHttp,
    key: KeyObject,
    { jwk, directory, thumbprint }: { jwk: JWK; directory: Readonly<Record<string, string>>; thumbprint: string },
  ) {
    this.#http = http;
    this.#key = key;
    this.#jwk = jwk;
    this.#directory = directory;
    this.#thumbprint = thumbprint;
  }

  /** Finds the account of a private key, or makes it. Throws `AcmeError`. */
  static async open(http: AcmeHttp, url: string, key: KeyObject, registration: Registration): Promise<AcmeSession> {
    const directory = await readDirectory(http, url);
    const { d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...jwk } = await exportJWK(key);
    const thumbprint = await calculateJwkThumbprint(jwk);
    const session = new AcmeSession(http, key, { jwk, directory, thumbprint });
    await session.#register(registration);
    return session;
  }

  /** What a challenge's token is answered with (RFC 8555 section 8.1). */
  keyAuthorization(token: string): string {
    return `${token}.${this.#thumbprint}`;
  }

  /** The URL of something the server offers. */
  place(name: 'newAccount' | 'newOrder' | 'newNonce'): string {
    const url = this.#directory[name];
    if (url === undefined) throw new AcmeError(`the ACME server's directory has no ${name}`);
    return url;
  }

  /** Sends a signed request; null asks for what is there (POST-as-GET). Throws `AcmeError`. */
  async post(url: string, payload: unknown, accept?: string): Promise<AcmeAnswer> {
    for (let again = 1; ; again++) {
      const body = await this.#signed(url, payload);
      try {
        const answer = await this.#http.send('POST', url, body, accept);
        this.#nonce = answer.headers.get('replay-nonce');
        return answer;
      } catch (error) {
        if (!(error instanceof AcmeError)) throw error;
        this.#nonce = error.nonce;
        if (error.type !== BAD_NONCE || again === MOST_NONCES) throw error;
      }
    }
  }

  async #register({ email, tosAccepted, binding }: Registration): Promise<void> {
    const url = this.place('newAccount');
    const answer = await this.post(url, {
      termsOfServiceAgreed: tosAccepted,
      contact: [`mailto:${email}`],
      ...(binding !== null && { externalAccountBinding: this.#bound(binding, url) }),
    });
    this.#account = answer.headers.get('location');
    if (this.#account === null) throw new AcmeError(`${url}: the answer names no account`);
  }

  async #signed(url: string, payload: unknown): Promise<string> {
    const nonce = this.#nonce ?? (await this.#newNonce());
    this.#nonce = null;
    const alg = this.#jwk.kty === 'RSA' ? 'RS256' : this.#jwk.crv === 'P-384' ? 'ES384' : 'ES256';
    const who = this.#account === null ? { jwk: this.#jwk } : { kid: this.#account };
    const bytes = payload === null ? new Uint8Array() : new TextEncoder().encode(JSON.stringify(payload));
    const jws = await new FlattenedSign(bytes).setProtectedHeader({ alg, nonce, url, ...who }).sign(this.#key);
    return JSON.stringify(jws);
  }

  async #newNonce(): Promise<string> {
    const url = this.place('newNonce');
    const nonce = (await this.#http.send('HEAD', url, null)).headers.get('replay-nonce');
    if (nonce === null) throw new AcmeError(`${url}: the answer has no nonce`);
    return nonce;
  }

  /** HS256 with keys of any length, which they may have been given. */
  #bound({ id, key }: NonNullable<Registration['binding']>, url: string): object {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = { protected: part({ alg: 'HS256', kid: id, url }), payload: part(this.#jwk) };
    const mac = createHmac('sha256', Buffer.from(key, 'base64url')).update(`${signed.protected}.${signed.payload}`);
    return { ...signed, signature: mac.digest('base64url') };
  }
}

/** Where a server offers what (RFC 8555 section 7.1.1). Kong takes its address without what the directory is called, too. */
async function readDirectory(http: AcmeHttp, url: string): Promise<Readonly<Record<string, string>>> {
  const beneath = `${url.replace(/\/$/, '')}/directory`;
  const read = async (at: string): Promise<Readonly<Record<string, string>>> => {
    const answer = (await http.send('GET', at, null)).json();
    const texts = Object.entries(answer).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as const] : [],
    );
    return Object.fromEntries(texts);
  };
  if (url.endsWith('/directory')) return read(url);
  const directory = await read(url).catch(() => null);
  return directory?.newOrder === undefined ? read(beneath) : directory;
}
