import { utf8 } from '../../shared/bundle/canonical.ts';
import type { ObjectName, PublicKeyJwk } from '../../shared/bundle/format.ts';
import { arrayOf, integer, json, object, oneOf, recordOf, ShapeError, string } from '../../shared/bundle/shape.ts';
import { sign, verifySignature } from '../../shared/bundle/signature.ts';
import type { SigningKey } from '../../shared/bundle/signing.ts';
import type { NodeSelector } from '../../shared/cluster/node-selector.ts';
import { BUNDLE_FILE } from './folder.ts';

export const objectFile = (name: ObjectName): string => `objects/${name}`;

/** Bytes of the file. */
export const LARGEST_BUNDLE_FILE = 64 << 20;

const GROUPS_TYPE = 'holdfast-groups+jws';

/** Everything there is but objects, in one file, so that what is read belongs together. Nothing of it is believed unsigned. */
export interface BundleFile {
  /** Statements about signing keys. */
  readonly keys: readonly string[];
  /** Which data planes are of which group: a compact JWS. */
  readonly groups: string;
  /** The signed manifest of each group that has one. */
  readonly manifests: Readonly<Record<string, string>>;
  /** Objects that nothing names any more, and since when (milliseconds), for whoever exports next; an earlier version does not say. */
  readonly unused?: Readonly<Record<ObjectName, number>>;
}

/** Which data planes are of which group, and when that was: the first group whose selector fits is a data plane's. */
export interface ExportedGroups {
  readonly cluster: string;
  readonly serial: number;
  readonly groups: readonly ExportedGroup[];
}

export interface ExportedGroup {
  readonly name: string;
  /** Null: whoever is of no other. */
  readonly labels: NodeSelector | null;
  readonly certified: boolean;
}

export function signGroups(groups: ExportedGroups, key: SigningKey): Promise<string> {
  return sign(utf8(JSON.stringify(groups)), GROUPS_TYPE, key);
}

/** Throws what is wrong with it. */
export function parseBundleFile(bytes: Uint8Array): BundleFile {
  const read = object(json(new TextDecoder().decode(bytes), BUNDLE_FILE), BUNDLE_FILE);
  return {
    keys: arrayOf(read.keys, 'keys', string),
    groups: string(read.groups, 'groups'),
    manifests: recordOf(read.manifests, 'manifests', string),
    unused: recordOf(read.unused ?? {}, 'unused', integer),
  };
}

/** Throws unless one of the keys has signed it, for this cluster (null: whichever). */
export async function verifyGroups(
  jws: string,
  trustedKeys: readonly PublicKeyJwk[],
  cluster: string | null,
): Promise<ExportedGroups> {
  const payload = await verifySignature(jws, trustedKeys, { type: GROUPS_TYPE, what: 'groups' });
  const read = object(json(new TextDecoder().decode(payload), 'groups'), 'groups');
  const found = string(read.cluster, 'groups.cluster');
  if (cluster !== null && found !== cluster) {
    throw new ShapeError(`groups: of cluster ${found}, but this node belongs to cluster ${cluster}`);
  }
  return {
    cluster: found,
    serial: integer(read.serial, 'groups.serial'),
    groups: arrayOf(read.groups, 'groups.groups', (value, where) => {
      const group = object(value, where);
      return {
        name: string(group.name, `${where}.name`),
        labels: group.labels === null ? null : arrayOf(group.labels, `${where}.labels`, demand),
        certified: group.certified === true,
      };
    }),
  };
}

function demand(value: unknown, where: string): NodeSelector[number] {
  const read = object(value, where);
  const key = string(read.key, `${where}.key`);
  const op = oneOf(read.op, `${where}.op`, ['in', 'notin', 'present', 'absent']);
  if (op === 'present' || op === 'absent') return { key, op };
  return { key, op, values: arrayOf(read.values, `${where}.values`, string) };
}
