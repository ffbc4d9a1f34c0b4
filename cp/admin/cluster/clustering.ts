import { HOST_KINDS } from '../../../shared/cluster/hosts.ts';
import { pageBody, pageBounds, pageParameters } from '../entity/page.ts';
import { type JsonSchema, objectOf, pageOf } from '../openapi/description.ts';
import { message, noContent, notFound, ok, Refusal } from '../reply.ts';
import { type AdminRoute, param } from '../route.ts';
import { type ClusterView, everyDataPlane } from './cluster-view.ts';

const notControlPlane = message(
  400,
  'this endpoint is only available when Kong is configured to run as Control Plane for the cluster',
);

const record: JsonSchema = objectOf({
  id: { type: 'string' },
  hostname: { type: 'string' },
  ip: { type: 'string' },
  version: { type: ['string', 'null'] },
  config_hash: { type: 'string' },
  sync_status: { type: 'string' },
  last_seen: { type: 'integer' },
  updated_at: { type: 'integer' },
  ttl: { type: 'integer', description: 'Seconds until the record is forgotten.' },
  labels: { type: ['object', 'null'], additionalProperties: { type: 'string' } },
  cert_details: { type: ['object', 'null'] },
  rpc_capabilities: { type: 'array', items: { type: 'string' } },
  state: { type: 'string', enum: ['connected', 'disconnected'], description: 'To some control plane.' },
  serial: { type: ['integer', 'null'], description: 'Serial of the config the data plane applied last.' },
  group: { type: 'string', description: 'The group whose config the data plane is given.' },
  rejection_reason: { type: ['string', 'null'], description: 'Why its last config was refused or withheld.' },
  refused_claim: {
    type: ['object', 'null'],
    description: 'Who said last, in vain, that it was this data plane: when, from where, with which certificate.',
    properties: {
      at: { type: 'integer' },
      ip: { type: 'string' },
      hostname: { type: 'string' },
      certificate: { type: 'string' },
    },
  },
});

const detail: JsonSchema = {
  allOf: [
    record,
    objectOf({
      host: { type: 'string', enum: [...HOST_KINDS] },
      connected: { type: 'boolean' },
      plugins: { type: 'object', additionalProperties: { type: 'string' } },
      capabilities: { type: 'array', items: { type: 'string' } },
      load_ms: { type: ['integer', 'null'], description: 'Milliseconds that its config took until it was served.' },
      conflicts: {
        type: 'array',
        items: objectOf({
          entity: { type: 'string' },
          id: { type: 'string' },
          name: { type: ['string', 'null'] },
          capability: { type: 'string' },
          reason: { type: 'string' },
        }),
      },
      history: {
        type: 'array',
        description: 'What it applied, refused or was not given, the newest first: the last 30.',
        items: objectOf({
          at: { type: 'number' },
          change: { type: 'string', enum: ['applied', 'rejected', 'withheld'] },
          serial: { type: ['integer', 'null'] },
          config_hash: { type: ['string', 'null'] },
          reason: { type: ['string', 'null'] },
        }),
      },
    }),
  ],
};

const seenUpstream: JsonSchema = objectOf({
  id: { type: 'string' },
  name: { type: 'string' },
  workspace: { type: 'string' },
  targets: {
    type: 'array',
    items: objectOf({
      id: { type: 'string' },
      target: { type: 'string' },
      health: { type: 'string', enum: ['HEALTHY', 'UNHEALTHY', 'HEALTHCHECKS_OFF', 'DNS_ERROR'] },
      dns: { type: ['string', 'null'] },
      addresses: { type: 'array', items: { type: 'object' } },
    }),
  },
});

/** `/clustering/*`: the data planes of this cluster, with Kong's fields; the single-node view is Holdfast's own. */
export function clusteringRoutes(view: ClusterView | null): AdminRoute[] {
  const cluster = (): ClusterView => {
    if (view === null) throw new Refusal(notControlPlane);
    return view;
  };
  return [
    {
      path: '/clustering/data-planes',
      methods: {
        GET: {
          describe: {
            summary: 'List the data planes of the cluster',
            tag: 'cluster',
            query: pageParameters,
            success: { status: 200, schema: pageOf(record) },
            errors: [400],
          },
          async handle({ query }) {
            const { size = 100, offset } = pageBounds(query);
            const page = await cluster().dataPlanes({ size, ...(offset === undefined ? {} : { offset }) });
            return ok(pageBody(page, '/clustering/data-planes', { size: query.get('size') }));
          },
        },
      },
    },
    {
      path: '/clustering/data-planes/{id}',
      methods: {
        GET: {
          describe: {
            summary: 'Read a data plane: what it runs on, what it holds, what it cannot honour',
            tag: 'cluster',
            success: { status: 200, schema: detail },
            errors: [400, 404],
          },
          async handle(call) {
            const found = await cluster().dataPlane(param(call, 'id'));
            return found === null ? notFound : ok(found);
          },
        },
        DELETE: {
          describe: {
            summary: 'Forget a data plane and the key its id belongs to, so that it can be installed anew',
            tag: 'cluster',
            success: { status: 204 },
            errors: [400, 404],
          },
          async handle(call) {
            return (await cluster().forget(param(call, 'id'))) ? noContent : notFound;
          },
        },
      },
    },
    {
      path: '/clustering/data-planes/{id}/upstreams',
      methods: {
        GET: {
          describe: {
            summary: 'Health of upstreams as one data plane sees it: of those it has told of',
            tag: 'cluster',
            success: { status: 200, schema: objectOf({ data: { type: 'array', items: seenUpstream } }) },
            errors: [400, 404],
          },
          async handle(call) {
            const data = await cluster().upstreamsOf(param(call, 'id'));
            return data === null ? notFound : ok({ data });
          },
        },
      },
    },
    {
      path: '/clustering/status',
      methods: {
        GET: {
          describe: {
            summary: 'Deprecated: data planes by id. Use /clustering/data-planes',
            tag: 'cluster',
            success: { status: 200, schema: { type: 'object', additionalProperties: { type: 'object' } } },
            errors: [400],
          },
          async handle() {
            const data: Record<string, object> = {};
            for await (const { id, config_hash, hostname, ip, last_seen } of everyDataPlane(cluster())) {
              data[id] = { config_hash, hostname, ip, last_seen };
            }
            return ok(data, { Deprecation: 'true' });
          },
        },
      },
    },
  ];
}
