import { entities } from '../../../shared/entities/registry.ts';
import { schemaOf } from '../entity/catalog.ts';
import { routesOf } from '../entity/generate.ts';
import { message } from '../reply.ts';
import { type AdminRoute, mapOperations, type Operation } from '../route.ts';

const wasmDisabled = message(400, 'this endpoint is only available when wasm is enabled');

/**
 * Filter chains run Wasm filters, which no data plane of ours does. Kong without Wasm refuses their paths with these
 * words, and so a chain that would do nothing is never taken in silence.
 */
export function filterChainRoutes(): AdminRoute[] {
  const effective = ['all', 'enabled', 'disabled'].map((which) => ({
    path: `/routes/{routes}/filters/${which}`,
    methods: { GET: refused },
  }));
  return [
    ...routesOf(schemaOf('filter_chains'), entities).map((route) => mapOperations(route, () => refused)),
    ...effective,
  ];
}

const refused: Operation = {
  describe: {
    summary: 'Never available: there are no Wasm filters',
    tag: 'filter_chains',
    success: { status: 200, schema: { type: 'object' } },
    errors: [400],
  },
  handle: () => wasmDisabled,
};
