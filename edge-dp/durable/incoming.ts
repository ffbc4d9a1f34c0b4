import { object, string } from '../../shared/bundle/shape.ts';
import { type FromControlPlane, SYNC_STATUSES, type SyncStatus } from '../../shared/cluster/messages.ts';

/** Reads a message of a control plane. Null for a type this version does not know; throws when a known one is malformed. */
export function parseFromControlPlane(text: string): FromControlPlane | null {
  const read = object(JSON.parse(text), 'message');
  switch (read.type) {
    case 'manifest': {
      const objects = read.objects === undefined ? {} : object(read.objects, 'objects');
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
      return { type: 'explain', id: string(read.id, 'id'), request: object(read.request, 'request') };
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
  return SYNC_STATUSES.find((status) => status === value) ?? 'unknown';
}
