import { buildManifest } from '../../../../shared/bundle/manifest.ts';
import { packObject } from '../../../../shared/bundle/object.ts';
import { generateSigningKey, signManifest } from '../../../../shared/bundle/signing.ts';
import type { ManifestMessage } from '../../../../shared/cluster/messages.ts';

const { key } = await generateSigningKey();

export const TRUSTED_KEYS = [key.publicKey];

/** A signed config of one route, with all its objects. */
export async function signedConfig(serial: number, name: string): Promise<ManifestMessage> {
  const rows = await packObject({ table: 'routes', rows: [{ id: 'r1', name }] });
  const objects = [{ name: rows.object.name, size: rows.size }];
  const index = await packObject({ table: 'routes', key: 'id', hashed: [], bits: 0, objects });
  const manifest = await buildManifest({
    cluster: key.cluster,
    group: 'default',
    serial,
    issued_at: 1,
    tables: { routes: { index: index.object.name, rows: 1, mode: 'eager' } },
    plugins: {},
    keys: TRUSTED_KEYS,
  });
  const bytes = [rows.object, index.object].map(({ name: object, gzip }) => [object, base64(gzip)]);
  return { type: 'manifest', manifest: await signManifest(manifest, key), objects: Object.fromEntries(bytes) };
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
