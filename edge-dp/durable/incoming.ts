import type { FromControlPlane, SyncStatus } from '../../shared/cluster/messages.ts';

const SYNC_STATUSES: readonly string[] = [
  'unknown',
  'normal',
  'kong_version_incompatible',
  'plugin_set_incompatible',
  'plugin_version_incompatible',
  'filter_set_incompatible',
] satisfies readonly SyncStatus[];

/** Reads a message of a control plane. Null for a type this version does not know; throws when a known one is malformed. */
export function parseFromControlPlane(text: string): FromControlPlane | null {
  const read = record(JSON.parse(text), 'message');
  switch (read.type) {
    case 'manifest': {
      const objects = read.objects === undefined ? {} : record(read.objects, 'objects');
      return {
        type: 'manifest',
        manifest: string(read.manifest, 'manifest'),
        objects: Object.fromEntries(Object.entries(objects).map(([name, gzip]) => [name, string(gzip, name)])),
      };
    }
    case 'withheld':
      return { type: 'withheld', sync_status: syncStatus(read.sync_status), reason: string(read.reason, 'reason') };
    case 'target_health':
      return {
        type: 'target_health',
        upstream: string(read.upstream, 'upstream'),
        target: string(read.target, 'target'),
        address: typeof read.address === 'string' ? read.address : null,
        healthy: read.healthy === true,
      };
    case 'explain':
      return { type: 'explain', id: string(read.id, 'id'), request: record(read.request, 'request') };
    case 'heartbeat':
      return {
        type: 'heartbeat',
        serial: typeof read.serial === 'number' ? read.serial : null,
        config_hash: typeof read.config_hash === 'string' ? read.config_hash : null,
      };
    default:
      return null;
  }
}

function syncStatus(value: unknown): SyncStatus {
  return isSyncStatus(value) ? value : 'unknown';
}

function isSyncStatus(value: unknown): value is SyncStatus {
  return typeof value === 'string' && SYNC_STATUSES.includes(value);
}

function record(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${where}: expected an object`);
  return { ...value };
}

function string(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new TypeError(`${where}: expected a string`);
  return value;
}
