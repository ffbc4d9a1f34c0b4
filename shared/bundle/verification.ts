import { type Bytes, LIMITS, type Manifest, type ObjectName, type PublicKeyJwk } from './format.ts';
import { configHash, parseManifest } from './manifest.ts';
import { gunzip, sha256Hex } from './object.ts';
import { BundleRefused } from './refusal.ts';
import { json, ShapeError } from './shape.ts';
import { verifySignature } from './signature.ts';
import { MANIFEST_TYPE } from './signing.ts';

export { BundleRefused } from './refusal.ts';

interface Expectations {
  /** Pinned keys and those an earlier verified manifest introduced. */
  readonly trustedKeys: readonly PublicKeyJwk[];
  /** Null: not decided yet, the first verified manifest decides. */
  readonly cluster: string | null;
  /** Null: any, for a control plane that only asks what a data plane holds. */
  readonly group: string | null;
  /** The highest serial ever applied; null before the first. Equal is fine: a reconnect brings the same manifest. */
  readonly highestSerial: number | null;
  /** Unix seconds. Null: expiry is not asked about (a control plane reading the manifest of a hello). */
  readonly now: number | null;
}

/**
 * Returns the manifest of a compact JWS, or throws `BundleRefused`. Nothing of the payload is believed before its
 * signature verified under a trusted key; the size is looked at before anything else.
 */
export async function verifyManifest(jws: string, expected: Expectations): Promise<Manifest> {
  if (jws.length > LIMITS.manifest) {
    throw new BundleRefused('size', `manifest: ${jws.length} bytes, more than the allowed ${LIMITS.manifest}`);
  }
  const payload = await verifySignature(jws, expected.trustedKeys, { type: MANIFEST_TYPE, what: 'manifest' });
  const manifest = await readPayload(payload);
  if (expected.cluster !== null && manifest.cluster !== expected.cluster) {
    throw new BundleRefused(
      'cluster',
      `manifest: of cluster ${manifest.cluster}, but this node belongs to cluster ${expected.cluster}`,
    );
  }
  if (expected.group !== null && manifest.group !== expected.group) {
    throw new BundleRefused(
      'group',
      `manifest: for group '${manifest.group}', but this node is of group '${expected.group}'`,
    );
  }
  if (expected.highestSerial !== null && manifest.serial < expected.highestSerial) {
    throw new BundleRefused(
      'serial',
      `manifest: serial ${manifest.serial} is older than serial ${expected.highestSerial}, which was already applied`,
    );
  }
  if (expected.now !== null && manifest.expires_at !== undefined && manifest.expires_at <= expected.now) {
    const when = new Date(manifest.expires_at * 1000).toISOString();
    throw new BundleRefused('expired', `manifest: expired at ${when}`);
  }
  return manifest;
}

/**
 * The keys to trust once `manifest` is verified and applied: the pinned ones always, and those the manifest introduces.
 * A key introduced earlier and no longer listed drops out: that is how a rotation ends.
 */
export function trustedAfter(pinned: readonly PublicKeyJwk[], manifest: Manifest): readonly PublicKeyJwk[] {
  const known = new Set(pinned.map((key) => key.kid));
  return [...pinned, ...manifest.keys.filter((key) => !known.has(key.kid))];
}

/** Inflates an object within `sizeLimit` bytes and checks it against its name. Throws `BundleRefused`. */
export async function verifyObject(name: ObjectName, gzip: Bytes, sizeLimit: number): Promise<Bytes> {
  let bytes: Bytes;
  try {
    bytes = await gunzip(gzip, Math.min(sizeLimit, LIMITS.object));
  } catch (error) {
    if (error instanceof BundleRefused) throw new BundleRefused(error.reason, `object ${name}: ${error.message}`);
    throw error;
  }
  const found = await sha256Hex(bytes);
  if (found !== name) throw new BundleRefused('hash', `object ${name}: its bytes have SHA-256 ${found}`);
  return bytes;
}

async function readPayload(payload: Uint8Array): Promise<Manifest> {
  try {
    const manifest = parseManifest(json(new TextDecoder().decode(payload), 'manifest'));
    const hash = await configHash(manifest.tables);
    if (hash !== manifest.config_hash) {
      throw new ShapeError(`manifest.config_hash: ${manifest.config_hash}, but its tables hash to ${hash}`);
    }
    const { split } = manifest;
    const other = split && (await configHash(split.tables));
    if (other !== split?.config_hash) {
      throw new ShapeError(`manifest.split.config_hash: ${split?.config_hash}, but its tables hash to ${other}`);
    }
    return manifest;
  } catch (error) {
    if (error instanceof ShapeError) throw new BundleRefused('format', error.message);
    throw error;
  }
}
