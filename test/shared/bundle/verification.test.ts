import { gzipSync } from 'node:zlib';
import { CompactSign } from 'jose';
import { describe, expect, test } from 'vitest';
import { canonicalBytes } from '../../../shared/bundle/canonical.ts';
import type { Manifest } from '../../../shared/bundle/format.ts';
import { buildManifest } from '../../../shared/bundle/manifest.ts';
import { packObject, parseTableIndex, parseTableObject } from '../../../shared/bundle/object.ts';
import { BundleRefused, type RefusalReason } from '../../../shared/bundle/refusal.ts';
import {
  generateSigningKey,
  MANIFEST_TYPE,
  parseSigningKey,
  parseTrustedKeys,
  type SigningKey,
  signManifest,
} from '../../../shared/bundle/signing.ts';
import { trustedAfter, verifyManifest, verifyObject } from '../../../shared/bundle/verification.ts';

const { key, privateFile, trustedFile } = await generateSigningKey();
const stranger = await generateSigningKey(key.cluster);
const NOW = 1_800_000_000;
const trust = {
  trustedKeys: [key.publicKey],
  cluster: key.cluster,
  group: 'default',
  highestSerial: 7,
  now: NOW,
};

function manifest(changes: Partial<Manifest> = {}): Promise<Manifest> {
  return buildManifest({
    cluster: key.cluster,
    group: 'default',
    serial: 7,
    issued_at: NOW - 10,
    tables: { routes: { index: 'a'.repeat(64), rows: 1, mode: 'eager' } },
    plugins: { 'key-auth': '3.9.3' },
    keys: [key.publicKey],
    ...changes,
  });
}

async function refusal(work: Promise<unknown>): Promise<BundleRefused> {
  const caught = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (caught instanceof BundleRefused) return caught;
  throw new Error(`expected a BundleRefused, got ${String(caught)}`);
}

/** Signs anything, as a control plane gone wrong might. */
function signed(payload: unknown, by: SigningKey = key, typ = MANIFEST_TYPE): Promise<string> {
  return new CompactSign(canonicalBytes(payload))
    .setProtectedHeader({ alg: 'EdDSA', kid: by.publicKey.kid, typ })
    .sign(by.privateKey);
}

describe('a manifest', () => {
  test('is accepted whole when everything about it is right', async () => {
    const sent = await manifest();
    expect(await verifyManifest(await signManifest(sent, key), trust)).toEqual(sent);
  });

  test('is refused when a bit of its payload or its signature was changed', async () => {
    const [header = '', payload = '', signature = ''] = (await signManifest(await manifest(), key)).split('.');
    const forged = Buffer.from(JSON.stringify({ ...(await manifest()), serial: 8 })).toString('base64url');
    const flipped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    for (const jws of [
      [header, forged, signature],
      [header, payload, flipped],
    ]) {
      expect((await refusal(verifyManifest(jws.join('.'), trust))).reason).toBe('signature');
    }
  });

  test('is refused when another key signed it, even one that borrows the trusted key id', async () => {
    const sent = await manifest();
    const honest = await refusal(verifyManifest(await signManifest(sent, stranger.key), trust));
    expect(honest.reason).toBe('unknown_key');
    expect(honest.message).toContain(stranger.key.publicKey.kid);
    const borrowed = { ...stranger.key, publicKey: key.publicKey };
    expect((await refusal(verifyManifest(await signManifest(sent, borrowed), trust))).reason).toBe('signature');
  });

  test.each<[string, Partial<Manifest>, RefusalReason, string]>([
    ['of another cluster', { cluster: '00000000-0000-4000-8000-000000000000' }, 'cluster', key.cluster],
    ['for another group', { group: 'canary' }, 'group', "'canary'"],
    ['older than one already applied', { serial: 6 }, 'serial', 'serial 6 is older than serial 7'],
    ['that has expired', { expires_at: NOW }, 'expired', 'expired at 2027-01-15'],
  ])('%s is refused with the reason', async (_, changes, reason, text) => {
    const refused = await refusal(verifyManifest(await signManifest(await manifest(changes), key), trust));
    expect(refused.reason).toBe(reason);
    expect(refused.message).toContain(text);
  });

  test('of the wrong shape is refused by the member that is wrong, although correctly signed', async () => {
    const good = await manifest();
    const { plugins: _, ...lacking } = good;
    const cases: [unknown, string][] = [
      [lacking, "lacks 'plugins'"],
      [{ ...good, format: 2 }, 'format 1, found 2'],
      [{ ...good, serial: -1 }, 'manifest.serial'],
      [{ ...good, extra: 1 }, "unknown member 'extra'"],
      [{ ...good, tables: { routes: { index: 'x', rows: 1, mode: 'eager' } } }, 'manifest.tables.routes.index'],
      [{ ...good, config_hash: '0'.repeat(32) }, 'its tables hash to'],
      [{ ...good, keys: [{ ...key.publicKey, d: 'secret' }] }, 'private key'],
      ['text', 'expected an object'],
    ];
    for (const [payload, text] of cases) {
      const refused = await refusal(verifyManifest(await signed(payload), trust));
      expect(refused).toMatchObject({ reason: 'format', message: expect.stringContaining(text) });
    }
    expect((await refusal(verifyManifest(await signed(good, key, 'JWT'), trust))).message).toContain("type 'JWT'");
  });

  test('that is garbage or too large is refused before anything is parsed', async () => {
    for (const garbage of ['', '..', 'a.b.c', '{"alg":"none"}', 'eyJhbGciOiJub25lIn0..']) {
      expect((await refusal(verifyManifest(garbage, trust))).reason).toBe('format');
    }
    expect((await refusal(verifyManifest('a'.repeat(1 << 21), trust))).reason).toBe('size');
  });

  test('introduces the next signing key, and ends the trust in it by no longer listing it', async () => {
    const introducing = await manifest({ keys: [key.publicKey, stranger.key.publicKey] });
    const after = trustedAfter([key.publicKey], await verifyManifest(await signManifest(introducing, key), trust));
    const rotated = await signManifest(await manifest({ serial: 9 }), stranger.key);
    expect((await verifyManifest(rotated, { ...trust, trustedKeys: after })).serial).toBe(9);
    expect(trustedAfter([key.publicKey], await manifest())).toEqual([key.publicKey]);
    // A pinned key is trusted whatever is listed: a manifest cannot end it.
    const without = await manifest({ keys: [stranger.key.publicKey] });
    expect(trustedAfter([key.publicKey], without)).toEqual([key.publicKey, stranger.key.publicKey]);
  });
});

describe('the key files', () => {
  test('are read back as the key that was generated, the trusted one without its private half', async () => {
    const read = await parseSigningKey(privateFile);
    expect(parseTrustedKeys(trustedFile)).toEqual({ cluster: key.cluster, keys: [read.publicKey] });
    expect(trustedFile).not.toContain('"d"');
    const jws = await signManifest(await manifest(), read);
    expect((await verifyManifest(jws, trust)).serial).toBe(7);
  });

  test('are refused in plain words when they are mixed up, cut short or edited', async () => {
    await expect(parseSigningKey(trustedFile)).rejects.toThrow('signing key.d');
    expect(() => parseTrustedKeys(privateFile)).toThrow('trusted keys.keys');
    await expect(parseSigningKey(privateFile.slice(0, 40))).rejects.toThrow('signing key is not JSON');
    const mixed = { ...JSON.parse(privateFile), x: stranger.key.publicKey.x };
    await expect(parseSigningKey(JSON.stringify(mixed))).rejects.toThrow('thumbprint');
  });
});

describe('an object', () => {
  const rows = [
    { id: '1', name: 'a' },
    { id: '2', name: 'b' },
  ];

  test('is inflated, checked against its name, and read', async () => {
    const { object, size } = await packObject({ table: 'routes', rows });
    const bytes = await verifyObject(object.name, object.gzip, size);
    expect(bytes.length).toBe(size);
    expect(parseTableObject(bytes, 'routes').rows).toEqual(rows);
  });

  test('is refused when truncated, when changed, and when it is another one', async () => {
    const { object, size } = await packObject({ table: 'routes', rows });
    const other = await packObject({ table: 'routes', rows: [] });
    const cut = object.gzip.slice(0, object.gzip.length - 9);
    expect((await refusal(verifyObject(object.name, cut, size))).reason).toBe('format');
    const changed = object.gzip.slice();
    changed[20] = (changed[20] ?? 0) ^ 0xff;
    expect(['format', 'hash', 'size']).toContain((await refusal(verifyObject(object.name, changed, size))).reason);
    expect((await refusal(verifyObject(object.name, other.object.gzip, size))).reason).toBe('hash');
  });

  test('that inflates beyond its announced size is cut off there', async () => {
    const bomb = new Uint8Array(gzipSync(new Uint8Array(16 << 20)));
    const refused = await refusal(verifyObject('0'.repeat(64), bomb, 1000));
    expect(refused).toMatchObject({ reason: 'size', message: expect.stringContaining('1000 bytes') });
  });

  test('of the wrong shape is refused by the place that is wrong', () => {
    const index = { table: 'routes', key: 'id', hashed: [], bits: 1, objects: [null, null] };
    const read = (value: unknown) => parseTableIndex(canonicalBytes(value), 'routes');
    expect(read(index)).toEqual(index);
    expect(() => read({ ...index, objects: [null] })).toThrow('expected 2 places for 1 bits, found 1');
    expect(() => read({ ...index, bits: 40 })).toThrow('index.bits');
    expect(() => read({ ...index, table: 'services' })).toThrow("expected 'routes'");
    const objects = (value: unknown) => parseTableObject(canonicalBytes(value), 'routes');
    expect(() => objects({ table: 'routes', rows: [{ id: '2' }, { id: '1' }] })).toThrow("'1' does not sort after '2'");
    expect(() => objects({ table: 'routes', rows: [{}] })).toThrow('object.rows[0].id');
  });
});
