import { type CryptoKey, exportSPKI, generateKeyPair, importJWK, type JWTPayload, SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { verificationKey } from '../../../edge-dp/plugins/json-web-token.ts';
import jwt from '../../../edge-dp/plugins/jwt.ts';
import type { JwtConfig } from '../../../shared/plugins/jwt.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CONFIG: JwtConfig = {
  uri_param_names: ['jwt'],
  cookie_names: ['token'],
  key_claim_name: 'iss',
  secret_is_base64: false,
  claims_to_verify: null,
  anonymous: null,
  run_on_preflight: true,
  maximum_expiration: 0,
  header_names: ['authorization'],
  realm: null,
};
const CONSUMER = { id: '00000000-0000-4000-8000-000000000001', username: 'ada' };
const SECRET = 'a-fixed-secret-of-32-characters!';
const now = () => Math.floor(Date.now() / 1000);

interface Credential {
  readonly algorithm?: string;
  readonly secret?: string;
  readonly rsa_public_key?: string | null;
}

/** One plugin with one credential, `joe`'s. */
function gateway(config: Partial<JwtConfig> = {}, credential: Credential = {}) {
  const hooks = jwt.compile({ ...CONFIG, ...config }, EVERYWHERE, fakeServices());
  const row = {
    id: '00000000-0000-4000-8000-000000000002',
    key: 'joe',
    algorithm: 'HS256',
    secret: SECRET,
    consumer: { id: CONSUMER.id },
    ...credential,
  };
  const rows = { jwt_secrets: { joe: [row] }, consumers: { [CONSUMER.id]: [CONSUMER] } };
  return async (token: string, more: Parameters<typeof fakeRequest>[0] = {}) => {
    const request = fakeRequest({ rows, ...more, headers: { authorization: `Bearer ${token}`, ...more.headers } });
    const answer = await hooks.access?.(request);
    if (answer === undefined) return request.identity.consumer?.username ?? 'nobody';
    if (!('status' in answer) || typeof answer.content !== 'string') throw new Error('no answer of the plugin');
    return JSON.parse(answer.content);
  };
}

const signed = (claims: JWTPayload, secret = SECRET, alg = 'HS256', typ = 'JWT') =>
  new SignJWT(claims).setProtectedHeader({ alg, typ }).sign(new TextEncoder().encode(secret));
const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** The claims of the examples of RFC 7515, as signed there. */
const PAYLOAD = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ';
const RSA_MODULUS =
  'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1' +
  'W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQ' +
  'Y4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ';

describe('jwt', () => {
  it('verifies the example of RFC 7515, appendix A.1', async () => {
    const key = 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow';
    const token =
      'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9' +
      '.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ' +
      '.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
    const ask = gateway({ secret_is_base64: true }, { secret: key });
    expect(await ask(token)).toBe('ada');
    expect(await ask(token.replace(/k$/, 'g'))).toEqual({ message: 'Invalid signature' });
  });

  // RFC 7515 appendices A.2 and A.3, RFC 8037 appendix A.4 (whose payload is no JSON).
  it.each([
    [
      'RS256',
      { kty: 'RSA', n: RSA_MODULUS, e: 'AQAB' },
      PAYLOAD,
      'cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1d' +
        'nZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwu' +
        'sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw',
    ],
    [
      'ES256',
      {
        kty: 'EC',
        crv: 'P-256',
        x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
        y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
      },
      PAYLOAD,
      'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
    ],
    [
      'EdDSA',
      { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
      'RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc',
      'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
    ],
  ])('verifies the example of the RFCs for %s', async (alg, jwk, payload, signature) => {
    const key = await importJWK(jwk, alg, { extractable: true });
    if (key instanceof Uint8Array) throw new Error('no public key');
    const pem = await exportSPKI(key);
    const header = part(`{"alg":"${alg}"}`);
    const token = {
      header: {},
      claims: {},
      algorithm: alg,
      signed: new TextEncoder().encode(`${header}.${payload}`),
      signature: new Uint8Array(Buffer.from(signature, 'base64url')),
    };
    expect(await verificationKey(alg, new Uint8Array(), pem).verify(token)).toBe(true);
    if (payload === PAYLOAD) {
      const ask = gateway({}, { algorithm: alg, rsa_public_key: pem });
      expect(await ask(`${header}.${payload}.${signature}`)).toBe('ada');
    }
  });

  it.each(['RS256', 'RS512', 'PS256', 'PS384', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    'verifies %s, again from memory, and no other signature',
    async (alg) => {
      const options = { extractable: true };
      const [mine, other] = await Promise.all([generateKeyPair(alg, options), generateKeyPair(alg, options)]);
      const ask = gateway({}, { algorithm: alg, rsa_public_key: await exportSPKI(mine.publicKey) });
      const by = (key: CryptoKey) => new SignJWT({ iss: 'joe' }).setProtectedHeader({ alg }).sign(key);
      const token = await by(mine.privateKey);
      expect([await ask(token), await ask(token)]).toEqual(['ada', 'ada']);
      expect(await ask(await by(other.privateKey))).toEqual({ message: 'Invalid signature' });
      expect(await ask(`${token.slice(0, token.lastIndexOf('.'))}.AA`)).toEqual({ message: 'Invalid signature' });
    },
  );

  it('takes no token for another: none, confusion, tricks with kid, duplicate members', async () => {
    const ask = gateway();
    const header = (value: unknown, signature = 'AAAA') => `${part(value)}.${part({ iss: 'joe' })}.${signature}`;
    expect(await ask(header({ alg: 'none' }, ''))).toEqual({ message: 'Bad token; invalid alg' });
    expect(await ask(header({ alg: 'NONE' }))).toEqual({ message: 'Bad token; invalid alg' });
    expect(await ask(header({ alg: ['HS256'] }))).toEqual({ message: 'Bad token; invalid alg' });
    expect(await ask(header({ alg: 'HS384' }))).toEqual({ message: 'Invalid algorithm' });
    expect(await ask(await signed({ iss: 'joe' }, SECRET, 'HS256', 'at+jwt'))).toBe('ada');
    expect(await ask(header({ alg: 'HS256' }, ''))).toEqual({ message: 'Invalid signature' });
    expect(await ask(header({ alg: 'HS256' }, 'AAAA.AAAA'))).toEqual({ message: 'Bad token; invalid signature' });
    expect(await ask(header({ alg: 'HS256' }, 'A+/A'))).toEqual({ message: 'Bad token; invalid signature' });
    expect(await ask(`${part({ alg: 'HS256' })}.${part('"joe"')}.AAAA`)).toEqual({
      message: "No mandatory 'iss' in claims",
    });
    expect(await ask(`${part({ alg: 'HS256' })}.${part({ iss: ['joe'] })}.AAAA`)).toEqual({
      message: "Invalid 'iss' in claims",
    });
    // Who is asked for and what is verified are read from the same text, once: the last of two members counts.
    const twice = await signed({ iss: 'joe' });
    expect(await ask(`${part('{"alg":"HS256","alg":"none"}')}.${twice.split('.').slice(1).join('.')}`)).toEqual({
      message: 'Bad token; invalid alg',
    });
    expect(await ask(`${part('{"alg":"HS256","kid":"../../dev/null"}')}.${part({ iss: 'joe' })}.AAAA`)).toEqual({
      message: 'Invalid signature',
    });
  });

  it('takes a query argument without a value for a token that is none', async () => {
    const ask = gateway();
    expect(await ask('', { target: '/?jwt' })).toEqual({ message: 'Unrecognizable token' });
    expect(await ask('', { target: '/?jwt=' })).toEqual({ message: 'Unauthorized' });
    expect(await ask(await signed({ iss: 'joe' }), { target: '/?jwt' })).toEqual({
      message: 'Multiple tokens provided',
    });
    expect(await ask('', { headers: { cookie: `TOKEN=${await signed({ iss: 'joe' })}` } })).toBe('ada');
  });

  it('takes a huge token for what it is', async () => {
    expect(await gateway()(await signed({ iss: 'joe', pad: 'x'.repeat(200_000) }))).toBe('ada');
    expect(await gateway()('a'.repeat(100_000))).toEqual({ message: 'Bad token; invalid JSON' });
    expect(await gateway()(`${part('['.repeat(100_000))}.e30.AAAA`)).toEqual({ message: 'Bad token; invalid JSON' });
  });

  it('looks at the times of a token each time, to the second', async () => {
    const verify: Partial<JwtConfig> = { claims_to_verify: ['exp', 'nbf'] };
    const ask = gateway(verify);
    const token = await signed({ iss: 'joe', exp: now() + 2, nbf: now() - 10 });
    expect(await ask(token)).toBe('ada');
    await expect.poll(() => ask(token)).toEqual({ exp: 'token expired' });
    expect(await ask(await signed({ iss: 'joe', exp: now(), nbf: now() + 60 }))).toEqual({
      exp: 'token expired',
      nbf: 'token not valid yet',
    });
    expect(await ask(await signed({ iss: 'joe' }))).toEqual({ exp: 'must be a number', nbf: 'must be a number' });
    const most = gateway({ claims_to_verify: ['exp'], maximum_expiration: 60 });
    expect(await most(await signed({ iss: 'joe', exp: now() + 3600 }))).toEqual({
      exp: 'exceeds maximum allowed expiration',
    });
  });

  it('believes no token longer than the credential it was verified by', async () => {
    const services = fakeServices();
    const hooks = jwt.compile(CONFIG, EVERYWHERE, services);
    const token = await signed({ iss: 'joe' });
    const with_ = (secret: string) =>
      fakeRequest({
        headers: { authorization: `Bearer ${token}` },
        rows: {
          jwt_secrets: { joe: [{ id: 'c', key: 'joe', algorithm: 'HS256', secret, consumer: { id: CONSUMER.id } }] },
          consumers: { [CONSUMER.id]: [CONSUMER] },
        },
      });
    expect(await hooks.access?.(with_(SECRET))).toBeUndefined();
    expect(await hooks.access?.(with_('another secret'))).toMatchObject({ status: 401 });
    expect(await hooks.access?.(with_(SECRET))).toBeUndefined();
  });

  it('finds a token in the query, a cookie or a header; several that differ are refused', async () => {
    const ask = gateway();
    const [one, two] = [await signed({ iss: 'joe' }), await signed({ iss: 'joe', n: 2 })];
    expect(await ask('', { target: `/?jwt=${one}`, headers: { authorization: 'Basic x' } })).toBe('ada');
    expect(await ask('', { headers: { authorization: '', cookie: `xtoken=no; token=${one}` } })).toBe('ada');
    expect(await ask(one, { target: `/?jwt=${one}` })).toBe('ada');
    expect(await ask(one, { target: `/?jwt=${two}` })).toEqual({ message: 'Multiple tokens provided' });
    expect(await ask('', { headers: { authorization: '' } })).toEqual({ message: 'Unauthorized' });
  });

  it('takes the first of several lines of a header, which some hosts join, but of Authorization, which comes once', async () => {
    const ask = gateway({ header_names: ['authorization', 'X-Token'] });
    const asked = (line: string | readonly string[], name = 'x-token') =>
      ask('', { headers: { authorization: '', [name]: line } });
    const good = `Bearer ${await signed({ iss: 'joe' })}`;
    for (const other of ['Bearer other', 'Basic x', good]) {
      expect(await asked([good, other]), other).toBe('ada');
      expect(await asked(`${good}, ${other}`), other).toBe('ada');
      expect(await asked(`${good}, ${other}`, 'authorization'), other).toEqual({
        message: expect.stringMatching(/^Bad token; /),
      });
    }
    expect(await asked(['Bearer other', good])).toEqual({ message: 'Bad token; invalid JSON' });
    expect(await asked(`Bearer other, ${good}`)).toEqual({ message: 'Bad token; invalid JSON' });
    const long = `${'Bearer , '.repeat(5_000)}\u2028`;
    expect(await asked(long)).toEqual({ message: expect.stringMatching(/^Bad token; /) });
  });

  it('says to the log, not to the client, that a key cannot be used', async () => {
    const ask = gateway({}, { algorithm: 'ES256', rsa_public_key: 'no PEM' });
    const token = `${part({ alg: 'ES256' })}.${part({ iss: 'joe' })}.AAAA`;
    expect(await ask(token)).toEqual({ message: 'Invalid signature' });
  });
});
