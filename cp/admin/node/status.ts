import { memoryUsage, pid } from 'node:process';
import { getHeapStatistics } from 'node:v8';
import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';
import type { Store } from '../../store/store.ts';
import type { ConfigReach } from '../cluster/cluster-view.ts';
import { objectOf } from '../openapi/description.ts';
import type { AdminOptions } from '../options.ts';
import { message, ok, type Reply } from '../reply.ts';
import type { Query } from '../request/query.ts';
import type { AdminRoute } from '../route.ts';

/**
 * `GET /status`, with Node's numbers where Kong has Lua's: the one process stands for the workers, its V8 heap for
 * the shared dictionaries.
 */
export function statusRoutes(options: StatusOptions): AdminRoute[] {
  return [
    {
      path: '/status',
      methods: {
        GET: {
          describe: {
            summary: 'Memory, connections, whether the database answers, and whether config reaches the data planes',
            tag: 'information',
            query: [
              {
                name: 'unit',
                description: 'Unit of memory sizes: bytes, KiB, MiB or GiB.',
                schema: { type: 'string', enum: ['b', 'B', 'k', 'K', 'm', 'M', 'g', 'G'], default: 'm' },
              },
              { name: 'scale', description: 'Digits after the point.', schema: { type: 'integer', default: 2 } },
            ],
            success: {
              status: 200,
              schema: {
                type: 'object',
                properties: {
                  memory: { type: 'object' },
                  server: { type: 'object', additionalProperties: { type: 'integer' } },
                  database: {
                    type: 'object',
                    properties: { reachable: { type: 'boolean' }, reason: { type: 'string' } },
                    required: ['reachable'],
                  },
                  configuration_hash: {
                    type: 'string',
                    description:
                      'In place of `database` when that is `off`: MD5 of the document in use, zeros for none.',
                  },
                  data_planes: dataPlanesSchema,
                  node_id: { type: 'string' },
                },
                required: ['memory', 'server', 'data_planes', 'node_id'],
              },
            },
            errors: [400],
          },
          handle: ({ query }) => nodeStatus(options, query),
        },
      },
    },
    {
      path: '/status/dns',
      methods: {
        GET: {
          describe: {
            summary: 'Statistics of the DNS client: none here, where data planes do the looking up',
            tag: 'information',
            success: {
              status: 200,
              schema: objectOf({
                worker: objectOf({ id: { type: 'integer' }, count: { type: 'integer' } }),
                stats: { type: 'object' },
              }),
            },
          },
          handle: () => ok({ worker: { id: 0, count: 1 }, stats: {} }),
        },
      },
    },
  ];
}

type StatusOptions = Pick<AdminOptions, 'store' | 'connections' | 'node' | 'cluster' | 'settings' | 'config'>;

/** The answer of `GET /status`, here and at the Status API; `unit` and `scale` say how sizes of memory are shown. */
export async function nodeStatus(
  { store, connections, node, cluster, settings, config }: StatusOptions,
  query: Query,
): Promise<Reply> {
  const unit = query.get('unit') ?? 'm';
  const scale = Math.trunc(Number(query.get('scale') ?? 2));
  if (!/^[bkmg]$/i.test(unit)) return message(400, `invalid unit '${unit}' (expected 'k/K', 'm/M', or 'g/G')`);
  if (Number.isNaN(scale) || scale < 0 || scale > 100) return message(400, 'scale must be equal or greater than 0');
  return ok({
    memory: memory((bytes) => inUnit(bytes, unit.toLowerCase(), scale)),
    server: connections.snapshot(),
    ...(settings.database === 'off'
      ? { configuration_hash: config?.hash(DEFAULT_WORKSPACE.name) }
      : { database: await database(store) }),
    data_planes: dataPlanes(cluster?.reach()),
    node_id: node.id,
  });
}

async function database(store: Store) {
  const { reachable, reason } = await store.condition();
  return reason === null ? { reachable } : { reachable, reason };
}

const dataPlanesSchema = objectOf({
  connected: { type: 'integer', description: 'To this control plane.' },
  withheld: { type: 'integer', description: 'Of those: how many do not get the newest config.' },
  reasons: {
    type: 'array',
    items: objectOf({ id: { type: 'string' }, hostname: { type: 'string' }, reason: { type: 'string' } }),
    description: 'Why, of the first 20.',
  },
  unpublished: {
    type: ['string', 'null'],
    description: 'Why the newest config is published for no one; null when it is.',
  },
});

const MOST_REASONS = 20;

function dataPlanes(reach: ConfigReach | undefined) {
  return {
    connected: reach?.connected ?? 0,
    withheld: reach?.withheld.length ?? 0,
    reasons: reach?.withheld.slice(0, MOST_REASONS) ?? [],
    unpublished: reach?.trouble ?? null,
  };
}

function memory(size: (bytes: number) => string | number) {
  const { heapUsed, arrayBuffers, rss } = memoryUsage();
  const heap = getHeapStatistics();
  return {
    workers_lua_vms: [{ pid, http_allocated_gc: size(heapUsed) }],
    lua_shared_dicts: {
      v8_heap: { allocated_slabs: size(heap.total_heap_size), capacity: size(heap.heap_size_limit) },
      array_buffers: { allocated_slabs: size(arrayBuffers), capacity: size(rss) },
    },
  };
}

const UNITS: Readonly<Record<string, readonly [number, string]>> = {
  k: [2 ** 10, 'KiB'],
  m: [2 ** 20, 'MiB'],
  g: [2 ** 30, 'GiB'],
};

function inUnit(bytes: number, unit: string, scale: number): string | number {
  const [size, name] = UNITS[unit] ?? [1, ''];
  return name === '' ? bytes : `${(bytes / size).toFixed(scale)} ${name}`;
}
