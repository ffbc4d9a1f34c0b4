import 'reflect-metadata';
import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate as NodeCertificate,
  webcrypto,
} from 'node:crypto';
import { BasicConstraintsExtension, type Extension, X509CertificateGenerator } from '@peculiar/x509';
import { beforeAll, describe, expect, test } from 'vitest';
import { caCertificates } from '../../../shared/entities/ca_certificates.ts';
import { certificates } from '../../../shared/entities/certificates.ts';
import { jwtSecrets } from '../../../shared/entities/jwt_secrets.ts';
import { keys } from '../../../shared/entities/keys.ts';
import type { Row } from '../../../shared/record.ts';
import { completeInsert } from '../../../shared/schema/complete.ts';
import { KongError } from '../../../shared/schema/errors.ts';
import type { EntitySchema } from '../../../shared/schema/vocabulary.ts';
import { context } from '../schema/context.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed25519 = generateKeyPairSync('ed25519');

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const ED25519 = { name: 'Ed25519' };
const YEAR = 365 * 24 * 3600 * 1000;

type Pair = { readonly privateKey: KeyObject; readonly publicKey: KeyObject };

async function selfSigned(
  pair: Pair,
  algorithm: typeof RSA | typeof ECDSA | typeof ED25519,
  days = 1,
  extensions: Extension[] = [],
) {
  const { subtle } = webcrypto;
  const pkcs8 = pair.privateKey.export({ format: 'der', type: 'pkcs8' });
  const spki = pair.publicKey.export({ format: 'der', type: 'spki' });
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=test',
      notBefore: new Date(Date.now() - YEAR),
      notAfter: new Date(Date.now() + days * 24 * 3600 * 1000),
      signingAlgorithm: algorithm,
      extensions,
      keys: {
        privateKey: await subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
        publicKey: await subtle.importKey('spki', spki, algorithm, true, ['verify']),
      },
    },
    webcrypto,
  );
  return certificate.toString('pem');
}

const pem = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1' | 'spki'): string =>
  key.export({ format: 'pem', type }).toString();

async function insert(schema: EntitySchema, input: Row): Promise<unknown> {
  return completeInsert(schema, input, context()).catch((error: unknown) =>
    error instanceof KongError ? error.fields : error,
  );
}

let rsaCertificate = '';
let ecCertificate = '';
let edCertificate = '';

beforeAll(async () => {
  rsaCertificate = await selfSigned(rsa, RSA);
  ecCertificate = await selfSigned(ec, ECDSA);
  edCertificate = await selfSigned(ed25519, ED25519);
});

describe('a certificate', () => {
  test('is taken with its own key, in every usual form', async () => {
    const pairs = [
      [rsaCertificate, pem(rsa.privateKey, 'pkcs8')],
      [rsaCertificate, pem(rsa.privateKey, 'pkcs1')],
      [ecCertificate, pem(ec.privateKey, 'pkcs8')],
      [ecCertificate, pem(ec.privateKey, 'sec1')],
      [edCertificate, pem(ed25519.privateKey, 'pkcs8')],
    ];
    for (const [cert, key] of pairs) {
      expect(await insert(certificates, { cert, key })).toMatchObject({ cert, key, snis: null });
    }
  });

  test('is refused with another key', async () => {
    const mismatch = { '@entity': ['certificate does not match key'] };
    for (const key of [
      pem(otherRsa.privateKey, 'pkcs8'),
      pem(ec.privateKey, 'sec1'),
      pem(ed25519.privateKey, 'pkcs8'),
    ]) {
      expect(await insert(certificates, { cert: rsaCertificate, key })).toEqual(mismatch);
    }
  });

  test('may have an alternative of another type only', async () => {
    const first = { cert: rsaCertificate, key: pem(rsa.privateKey, 'pkcs8') };
    const second = { cert_alt: ecCertificate, key_alt: pem(ec.privateKey, 'pkcs8') };
    expect(await insert(certificates, { ...first, ...second })).toMatchObject(second);
    expect(await insert(certificates, { ...first, cert_alt: first.cert, key_alt: first.key })).toEqual({
      '@entity': [expect.stringContaining('need to have different type')],
    });
    expect(await insert(certificates, { ...first, cert_alt: ecCertificate })).toEqual({
      '@entity': ["all or none of these fields must be set: 'cert_alt', 'key_alt'"],
    });
    expect(await insert(certificates, { ...first, ...second, key_alt: first.key })).toEqual({
      '@entity': ['alternative certificate does not match key'],
    });
  });

  test('that is none is refused, as is a key that is none', async () => {
    const broken = rsaCertificate.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA');
    expect(await insert(certificates, { cert: broken, key: 'nonsense' })).toEqual({
      cert: expect.stringMatching(/^invalid certificate: /),
      key: expect.stringMatching(/^invalid key: /),
    });
    const empty = '-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----';
    expect(await insert(certificates, { cert: rsaCertificate, key: empty })).toEqual({
      key: expect.stringMatching(/^invalid key: /),
    });
  });

  test('names each server once', async () => {
    const input = { cert: rsaCertificate, key: pem(rsa.privateKey, 'pkcs8'), snis: ['a.com', 'b.com', 'a.com'] };
    expect(await insert(certificates, input)).toEqual({ snis: 'a.com is duplicated' });
  });
});

describe('a CA certificate', () => {
  const authority = [new BasicConstraintsExtension(true)];

  test('is kept with the digest of its DER', async () => {
    const cert = await selfSigned(rsa, RSA, 1, authority);
    const cert_digest = createHash('sha256').update(new NodeCertificate(cert).raw).digest('hex');
    expect(await insert(caCertificates, { cert })).toMatchObject({ cert, cert_digest });
  });

  test('must be one, be alone and be valid still', async () => {
    const good = await selfSigned(rsa, RSA, 1, authority);
    const refusals = [
      [rsaCertificate, 'certificate does not appear to be a CA because it is missing the "CA" basic constraint'],
      [await selfSigned(rsa, RSA, -1, authority), 'certificate expired, "Not After" time is in the past'],
      [`${good}\n${good}`, 'please submit only one certificate at a time'],
    ];
    for (const [cert, reason] of refusals) {
      expect(await insert(caCertificates, { cert })).toEqual({ '@entity': [reason] });
    }
  });
});

describe('a key', () => {
  test('in PEM is loaded, and its halves must belong together', async () => {
    const pair = { private_key: pem(ec.privateKey, 'pkcs8'), public_key: pem(ec.publicKey, 'spki') };
    expect(await insert(keys, { kid: 'k', pem: pair })).toMatchObject({ pem: pair });
    for (const type of ['pkcs1', 'spki'] as const) {
      const halves = { private_key: pem(rsa.privateKey, 'pkcs8'), public_key: pem(rsa.publicKey, type) };
      expect(await insert(keys, { kid: 'k', pem: halves })).toMatchObject({ pem: halves });
      const mixed = { pem: { ...halves, public_key: pem(otherRsa.publicKey, type) } };
      expect(await insert(keys, { kid: 'k', ...mixed })).toEqual({ pem: 'public key does not match private key' });
    }
    const notOne = pem(ec.publicKey, 'spki').replaceAll('PUBLIC KEY', 'RSA PUBLIC KEY');
    expect(await insert(keys, { kid: 'k', pem: { public_key: notOne } })).toEqual({ pem: 'could not load public key' });
    const strangers = { ...pair, public_key: pem(rsa.publicKey, 'spki') };
    expect(await insert(keys, { kid: 'k', pem: strangers })).toEqual({ pem: 'public key does not match private key' });
    expect(await insert(keys, { kid: 'k', pem: { private_key: 'x' } })).toEqual({ pem: 'could not load private key' });
    const nothing = { '@entity': ["at least one of these fields must be non-empty: 'private_key', 'public_key'"] };
    expect(await insert(keys, { kid: 'k', pem: {} })).toEqual(expect.objectContaining({ pem: nothing }));
  });

  test.each<[string, () => Pair]>([
    ['Ed448', () => generateKeyPairSync('ed448')],
    ['X25519', () => generateKeyPairSync('x25519')],
    ['X448', () => generateKeyPairSync('x448')],
    ['RSA for PSS alone', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 })],
    [
      'RSA for PSS with one digest',
      () => generateKeyPairSync('rsa-pss', { modulusLength: 2048, hashAlgorithm: 'sha256' }),
    ],
  ])('in PEM may be of %s', async (_, make) => {
    const [own, other] = [make(), make()];
    const halves = { private_key: pem(own.privateKey, 'pkcs8'), public_key: pem(own.publicKey, 'spki') };
    const mixed = { ...halves, public_key: pem(other.publicKey, 'spki') };
    expect(await insert(keys, { kid: 'k', pem: halves })).toMatchObject({ pem: halves });
    expect(await insert(keys, { kid: 'k', pem: mixed })).toEqual({ pem: 'public key does not match private key' });
    const torn = halves.public_key.replace(/\n.{12}/, '\n');
    expect(await insert(keys, { kid: 'k', pem: { public_key: torn } })).toEqual({ pem: 'could not load public key' });
  });

  test('in JWK is loaded and carries the same kid', async () => {
    for (const { publicKey, privateKey } of [rsa, ec, ed25519]) {
      for (const key of [publicKey, privateKey]) {
        const jwk = JSON.stringify({ ...key.export({ format: 'jwk' }), kid: 'k', alg: 'any', use: 'sig' });
        expect(await insert(keys, { kid: 'k', jwk })).toMatchObject({ jwk });
      }
    }
    const refuse = async (jwk: string) => Reflect.get(Object(await insert(keys, { kid: 'k', jwk })), '@entity');
    expect(await refuse('{')).toEqual(['could not json decode jwk string']);
    expect(await refuse('{"kid":"other"}')).toEqual(['kid in jwk.kid must be equal to keys.kid']);
    expect(await refuse('{"kid":"k","kty":"EC","crv":"P-256"}')).toEqual([
      'could not load JWK, likely not a valid key',
    ]);
    const jwk = { ...ec.publicKey.export({ format: 'jwk' }), kid: 'k', color: 'red' };
    expect(await refuse(JSON.stringify(jwk))).toEqual(['Validation error: color: unknown field']);
  });

  test('is JWK or PEM, one of them', async () => {
    expect(await insert(keys, { kid: 'k' })).toEqual({
      '@entity': ["at least one of these fields must be non-empty: 'jwk', 'pem'"],
    });
  });
});

test('a JWT credential for public-key algorithms needs a public key', async () => {
  const consumer = { id: '6f0c0f0e-7d8f-4b8e-9c55-1f2d3c4b5a69' };
  const rsa_public_key = pem(rsa.publicKey, 'spki');
  expect(await insert(jwtSecrets, { consumer, algorithm: 'RS256', rsa_public_key })).toMatchObject({ rsa_public_key });
  expect(await insert(jwtSecrets, { consumer, algorithm: 'RS256', rsa_public_key: 'x' })).toEqual({
    '@entity': ["failed conditional validation given value of field 'algorithm'"],
    rsa_public_key: 'invalid key',
  });
});
