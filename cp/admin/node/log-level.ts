import { LOG_LEVELS } from '../../instance/log-levels.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import { messageSchema } from '../openapi/description.ts';
import type { AdminLog } from '../options.ts';
import { message } from '../reply.ts';
import { argument } from '../request/body.ts';
import { type AdminRoute, type Operation, param } from '../route.ts';

/** Seconds a changed level lasts, as in Kong. */
const DEFAULT_TIMEOUT = 60;

/** `/debug/node/log-level`, and its form for all control planes on the database. */
export function logLevelRoutes(log: AdminLog, cluster: ClusterView | null, clusterPath: string): AdminRoute[] {
  const { level } = log;
  if (level === undefined) return [];
  const change = (everywhere: boolean): Operation => ({
    describe: {
      summary: `Change the log level of ${everywhere ? 'all control planes' : 'this node'} for a while`,
      tag: 'debug',
      body: {
        required: false,
        schema: {
          type: 'object',
          properties: { timeout: { type: 'number', minimum: 0, default: DEFAULT_TIMEOUT, description: 'Seconds.' } },
        },
      },
      success: { status: 200, schema: messageSchema },
      errors: [400],
    },
    async handle(call) {
      const wanted = LOG_LEVELS.find((name) => name === param(call, 'log_level'));
      if (wanted === undefined) return message(400, `unknown log level: ${param(call, 'log_level')}`);
      const asked = Number(argument(call.body, 'timeout') ?? call.query.get('timeout') ?? DEFAULT_TIMEOUT);
      const timeout = Math.ceil(Number.isFinite(asked) ? asked : DEFAULT_TIMEOUT);
      if (timeout < 0) return message(400, 'timeout must be greater than or equal to 0');
      if (level.get() === wanted) return message(200, `log level is already ${wanted}`);
      if (everywhere) await cluster?.setLogLevel({ level: wanted, seconds: timeout });
      level.set(wanted, timeout);
      return message(200, 'log level changed');
    },
  });
  return [
    {
      path: '/debug/node/log-level',
      methods: {
        GET: {
          describe: {
            summary: 'Read the log level of this node',
            tag: 'debug',
            success: { status: 200, schema: messageSchema },
          },
          handle: () => message(200, `log level: ${level.get()}`),
        },
      },
    },
    { path: '/debug/node/log-level/{log_level}', methods: { PUT: change(false) } },
    { path: `${clusterPath}/{log_level}`, methods: { PUT: change(true) } },
  ];
}
