import { objectOf } from '../openapi/description.ts';
import { ok } from '../reply.ts';
import type { AdminRoute } from '../route.ts';

/** `GET /endpoints`: every path there is, `/` sorting below all other characters. */
export function endpointRoutes(others: readonly AdminRoute[]): AdminRoute[] {
  const paths = ['/endpoints', ...others.filter((route) => route.disabled !== true).map(({ path }) => path)];
  const sortKey = (path: string) => path.replaceAll('/', '\0');
  const data = [...new Set(paths)].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  return [
    {
      path: '/endpoints',
      methods: {
        GET: {
          describe: {
            summary: 'List the paths of the Admin API',
            tag: 'information',
            success: { status: 200, schema: objectOf({ data: { type: 'array', items: { type: 'string' } } }) },
          },
          handle: () => ok({ data }),
        },
      },
    },
  ];
}
