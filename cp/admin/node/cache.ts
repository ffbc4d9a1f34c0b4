import { noContent, notFound } from '../reply.ts';
import type { AdminRoute } from '../route.ts';

/**
 * `/cache`: Kong's node-local cache of database rows. This control plane reads the database each time, so there is
 * never anything cached: reads answer 404, purges succeed.
 */
export const cacheRoutes: readonly AdminRoute[] = [
  {
    path: '/cache',
    methods: {
      DELETE: {
        describe: { summary: 'Purge the node’s cache', tag: 'information', success: { status: 204 } },
        handle: () => noContent,
      },
    },
  },
  {
    path: '/cache/{key}',
    methods: {
      GET: {
        describe: {
          summary: 'Read a cached value',
          tag: 'information',
          success: { status: 200, schema: {} },
          errors: [404],
        },
        handle: () => notFound,
      },
      DELETE: {
        describe: { summary: 'Drop a cached value', tag: 'information', success: { status: 204 } },
        handle: () => noContent,
      },
    },
  },
];
