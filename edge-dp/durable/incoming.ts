import { parseManifest } from '../../shared/bundle/manifest.ts';
import { arrayOf, integer, object, string } from '../../shared/bundle/shape.ts';
import { parseOthersCounts } from '../../shared/cluster/counts.ts';
import {
  type ManifestMessage,
  type Order,
  type OrderMessage,
  SYNC_STATUSES,
  type SyncStatus,
} from '../../shared/cluster/messages.ts';
import { parseRecordOutcome, parseRecordPage } from '../../shared/cluster/records.ts';
import { MOST_DIFFERING } from '../../shared/cluster/replay.ts';
import type { Row } from '../../shared/record.ts';

/** What a control plane says, before anything of it is believed. */
export type Incoming =
  | ManifestMessage
  | OrderMessage
  /** What it says of itself. */
  | { readonly type: 'heartbeat'; readonly serial: number | null }
  /** An order as it was before orders were signed: not even read. */
  | { readonly type: 'unsigned'; readonly order: Order['type'] };

/** Reads a message of a control plane. Null for a type this version does not know; throws when a known one is malformed. */
export function parseFromControlPlane(text: string): Incoming | null {
  const read = object(JSON.parse(text), 'message');
  switch (read.type) {
    case 'manifest': {
      const objects = read.objects === undefined ? {} : object(read.objects, 'objects');
      return {
        type: 'manifest',
        manifest: string(read.manifest, 'manifest'),
        objects: Object.fromEntries(Object.entries(objects).map(([name, gzip]) => [name, string(gzip, name)])),
        ...keysOf(read),
      };
    }
    case 'order':
      return { type: 'order', order: string(read.order, 'order'), ...keysOf(read) };
    case 'assigned':
    case 'withheld':
    case 'target_health':
    case 'explain':
    case 'replay':
    case 'purge':
    case 'show_copy':
      return { type: 'unsigned', order: read.type };
    case 'heartbeat':
      return { type: 'heartbeat', serial: typeof read.serial === 'number' ? read.serial : null };
    default:
      return null;
  }
}

function keysOf({ keys }: Readonly<Row>): { readonly keys?: readonly string[] } {
  return keys === undefined ? {} : { keys: arrayOf(keys, 'keys', string) };
}

/** Reads what a signed order holds. Null for a type this version does not know; throws when a known one is malformed. */
export function parseOrder(read: Readonly<Row>): Order | null {
  switch (read.type) {
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
    case 'replay':
      return {
        type: 'replay',
        id: string(read.id, 'id'),
        run: string(read.run, 'run'),
        candidate: parseManifest(read.candidate),
        requests: read.requests === null ? null : arrayOf(read.requests, 'requests', object),
        list: integer(read.list, 'list', 0, MOST_DIFFERING),
        last: read.last === true,
      };
    case 'assigned':
      return { type: 'assigned', group: string(read.group, 'group') };
    case 'records_done':
      return {
        type: 'records_done',
        id: string(read.id, 'id'),
        outcomes: read.outcomes === null ? null : arrayOf(read.outcomes, 'outcomes', parseRecordOutcome),
      };
    case 'counted':
      return {
        type: 'counted',
        id: string(read.id, 'id'),
        others: read.others === null ? null : parseOthersCounts(read.others, 'others'),
      };
    case 'records_news':
      return { type: 'records_news', page: parseRecordPage(read.page, 'page') };
    case 'purge': {
      const of = PURGED.find((one) => one === read.of);
      return of === undefined ? null : { type: 'purge', of, name: string(read.name, 'name') };
    }
    case 'show_copy': {
      const plugin = typeof read.plugin === 'string' ? read.plugin : null;
      return { type: 'show_copy', id: string(read.id, 'id'), key: string(read.key, 'key'), plugin };
    }
    default:
      return null;
  }
}

const PURGED = ['plugin', 'key'] as const;

function syncStatus(value: unknown): SyncStatus {
  return SYNC_STATUSES.find((status) => status === value) ?? 'unknown';
}
