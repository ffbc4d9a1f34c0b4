import type { ManifestSplit } from './split.ts';

/**
 * The bundle: a Merkle tree of immutable objects with one signed root.
 *
 * manifest (compact JWS, Ed25519) -> one index object per table -> the table's row objects.
 * Objects are canonical JSON (RFC 8785) in UTF-8, named by the lower-case hex SHA-256 of those bytes; they are gzipped
 * wherever they rest or travel.
 */

/** Lower-case hex SHA-256, 64 digits. */
export type ObjectName = string;

/** Bytes in memory of their own, which WebCrypto and the compression streams take as they are. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Version of the format; a data plane refuses a manifest of another. */
export const BUNDLE_FORMAT = 1;

/** What is signed. Times are Unix seconds. */
export interface Manifest {
  readonly format: typeof BUNDLE_FORMAT;
  /** The cluster's id, from its signing key file; a data plane takes bundles of its own cluster only. */
  readonly cluster: string;
  readonly group: string;
  /** Position in the change log; never goes backwards on a data plane. */
  readonly serial: number;
  readonly issued_at: number;
  /**
   * Not set by this control plane: a config is good until a newer one comes, so its end could only keep a data plane that has
   * none yet from getting one, as would a clock that is wrong. Data planes honour it all the same.
   */
  readonly expires_at?: number;
  /** First 32 hex digits of the SHA-256 of the canonical JSON of `tables`: what Kong users know as the config hash. */
  readonly config_hash: string;
  /**
   * One per published entity, of its name; and one for each further field by which rows of a lazy one are found
   * (`consumers.username`), whose rows hold `id`, `ws_id` and that field.
   */
  readonly tables: Readonly<Record<string, TableRef>>;
  /**
   * Another config, which some of the requests get. Only for data planes with the capability `traffic_split`: the others refuse a
   * manifest that has it.
   */
  readonly split?: ManifestSplit;
  /** The plugins some row configures, of either config, with the version the control plane validated them against. */
  readonly plugins: Readonly<Record<string, string>>;
  /** Public signing keys a data plane may trust from now on (rotation): JWKs, RFC 7517. */
  readonly keys: readonly PublicKeyJwk[];
}

/** A table as the manifest names it: its index object and how many rows it has in all. */
export interface TableRef {
  readonly index: ObjectName;
  readonly rows: number;
  readonly mode: 'eager' | 'lazy';
}

/** An Ed25519 public key (RFC 8037). `kid` is its thumbprint (RFC 7638). */
export interface PublicKeyJwk {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
}

/** A table's index object. `objects` has 2^bits places, of which several may have the same object; `null` where no row falls. */
export interface TableIndex {
  readonly table: string;
  /** The row field whose value spreads the rows: `id` for eager tables, the lookup field for lazy ones. */
  readonly key: string;
  /** Fields that travel as the lower-case hex SHA-256 of their value. A lookup by one of them looks up the digest. */
  readonly hashed: readonly string[];
  readonly bits: number;
  readonly objects: readonly (ObjectRef | null)[];
}

/** An object as an index names it. */
export interface ObjectRef {
  readonly name: ObjectName;
  /** Bytes before compression: what a reader may at most inflate. */
  readonly size: number;
}

/**
 * A row as it travels: every schema field, `null` where unset, foreign keys as `{id}`; and `ws_id`, the id of its
 * workspace, where the entity has workspaces. Routing is shared between workspaces; global plugins, consumers,
 * credentials and the names of upstreams hold within their own, as in Kong Enterprise.
 */
export type BundleRow = { readonly id: string } & Readonly<Record<string, unknown>>;

/** A table's row object: rows sorted by id. */
export interface TableObject {
  readonly table: string;
  readonly rows: readonly BundleRow[];
}

/** An object as it rests and travels. */
export interface PackedObject {
  readonly name: ObjectName;
  readonly gzip: Bytes;
}

/** What a reader refuses before looking closer. Bytes. */
export const LIMITS = {
  manifest: 1 << 20,
  object: 4 << 20,
  index: 4 << 20,
  bits: 16,
} as const;

/** The group every data plane belongs to unless told otherwise. */
export const DEFAULT_GROUP = 'default';
