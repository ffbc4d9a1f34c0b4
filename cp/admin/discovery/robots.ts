import type { AdminRoute } from '../route.ts';

/** `/robots.txt`: an Admin API that is reachable from the web should at least not be indexed. */
export const robotsRoutes: readonly AdminRoute[] = [
  {
    path: '/robots.txt',
    methods: {
      GET: {
        describe: {
          summary: 'Keep robots away',
          tag: 'information',
          success: { status: 200, schema: { type: 'string' }, contentType: 'text/plain' },
        },
        handle: () => ({
          status: 200,
          body: 'User-agent: *\nDisallow: /',
          headers: { 'content-type': 'text/plain' },
        }),
      },
    },
  },
];
