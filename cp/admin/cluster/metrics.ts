import { METRICS_TYPE } from '../../../shared/metrics-text.ts';
import type { AdminRoute } from '../route.ts';

/** `/metrics` of the control plane, which the Status API has too; see `cp/metrics`. */
export function metricsRoutes(metrics: () => Promise<string>): AdminRoute[] {
  return [
    {
      path: '/metrics',
      methods: {
        GET: {
          describe: {
            summary: 'The control plane, its data planes, and whether config reaches them, in Prometheus’ text format',
            tag: 'information',
            success: { status: 200, schema: { type: 'string' }, contentType: METRICS_TYPE },
          },
          handle: async () => ({ status: 200, body: await metrics(), headers: { 'content-type': METRICS_TYPE } }),
        },
      },
    },
  ];
}
