import { message, type Reply } from '../reply.ts';
import type { AdminRoute } from '../route.ts';
import type { ClusterView } from './cluster-view.ts';

/** Characters of a description, in JSON: several times the largest request head. It travels in a signed order. */
const LONGEST = 64 << 10;

/**
 * `POST /debug/route`: where a request would go, and why. The router is the data planes’, and with it the config that
 * counts is the one they serve: so one of them is asked, over the link; with `?data_plane=` that one.
 */
export function debugRouteRoutes(cluster: ClusterView | null): AdminRoute[] {
  return [
    {
      path: '/debug/route',
      methods: {
        POST: {
          describe: {
            summary: 'Explain where a data plane would send a request',
            tag: 'debug',
            query: [
              {
                name: 'data_plane',
                description: 'Id of the data plane to ask; unless given, one with the newest config.',
                schema: { type: 'string' },
              },
            ],
            body: { required: true, schema: { type: 'object', additionalProperties: true } },
            success: { status: 200, schema: { type: 'object', additionalProperties: true } },
            errors: [400, 404, 503, 504],
          },
          async handle({ body, query }) {
            if (body.kind !== 'json') return message(400, 'expected a JSON body');
            if (JSON.stringify(body.args).length > LONGEST) {
              return message(400, `the description of a request must not be longer than ${LONGEST} characters`);
            }
            const wanted = query.get('data_plane');
            const node = wanted === undefined || wanted === '' ? undefined : wanted.toLowerCase();
            const answer = cluster === null ? null : await cluster.explain(body.args, node);
            if (answer?.outcome === 'silent') return message(504, 'the data plane did not answer in time');
            if (answer?.outcome === 'disconnected' && node !== undefined) return absent(cluster, node);
            if (answer?.outcome !== 'answered') return message(503, 'no data plane is connected that could be asked');
            const { status, node: asked } = answer;
            return { status, body: status === 200 ? { ...answer.body, data_plane: asked } : answer.body };
          },
        },
      },
    },
  ];
}

/** Why one that was named cannot be asked. */
async function absent(cluster: ClusterView | null, id: string): Promise<Reply> {
  const node = (await cluster?.dataPlane(id)) ?? null;
  if (node === null) return message(404, `there is no data plane '${id}'`);
  return message(
    503,
    node.connected
      ? `data plane '${id}' is connected to another control plane: ask there`
      : `data plane '${id}' is not connected`,
  );
}
