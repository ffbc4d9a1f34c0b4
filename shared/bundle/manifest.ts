import { UUID } from '../uuid.ts';
import { canonicalBytes } from './canonical.ts';
import { BUNDLE_FORMAT, type Manifest } from './format.ts';
import { sha256Hex } from './object.ts';
import { publicKey } from './public-key.ts';
import { arrayOf, exactObject, integer, recordOf, ShapeError, string, stringLike } from './shape.ts';
import { configHashOf, parseSplit, tableRefs } from './split.ts';

/** Completes a manifest with its format and config hash. */
export async function buildManifest(parts: Omit<Manifest, 'format' | 'config_hash'>): Promise<Manifest> {
  return { format: BUNDLE_FORMAT, config_hash: await configHash(parts.tables), ...parts };
}

/** First 32 hex digits of the SHA-256 of the canonical JSON of `tables`. */
export async function configHash(tables: Manifest['tables']): Promise<string> {
  return (await sha256Hex(canonicalBytes(tables))).slice(0, 32);
}

const MEMBERS = ['format', 'cluster', 'group', 'serial', 'issued_at', 'config_hash', 'tables', 'plugins', 'keys'];

/**
 * Reads a manifest out of parsed JSON, exactly: a member more or less is an error, since what a manifest may hold is
 * versioned by `format`. Throws `ShapeError`. Says nothing about signatures: see `verification.ts`.
 */
export function parseManifest(value: unknown): Manifest {
  if (typeof value === 'object' && value !== null && 'format' in value && value.format !== BUNDLE_FORMAT) {
    throw new ShapeError(
      `manifest.format: this data plane reads format ${BUNDLE_FORMAT}, found ${String(value.format)}`,
    );
  }
  const read = exactObject(value, 'manifest', MEMBERS, ['expires_at', 'split']);
  return {
    format: BUNDLE_FORMAT,
    cluster: stringLike(read.cluster, 'manifest.cluster', UUID, 'a UUID'),
    group: string(read.group, 'manifest.group'),
    serial: integer(read.serial, 'manifest.serial'),
    issued_at: integer(read.issued_at, 'manifest.issued_at'),
    ...(read.expires_at === undefined ? {} : { expires_at: integer(read.expires_at, 'manifest.expires_at') }),
    config_hash: configHashOf(read.config_hash, 'manifest.config_hash'),
    tables: tableRefs(read.tables, 'manifest.tables'),
    ...(read.split === undefined ? {} : { split: parseSplit(read.split, 'manifest.split') }),
    plugins: recordOf(read.plugins, 'manifest.plugins', string),
    keys: arrayOf(read.keys, 'manifest.keys', publicKey),
  };
}
