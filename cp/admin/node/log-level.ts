import { messageSchema } from '../openapi/description.ts';
import type { AdminLog, LogLevel } from '../options.ts';
import { message } from '../reply.ts';
import { argument } from '../request/body.ts';
import { type AdminRoute, type Operation, param } from '../route.ts';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'notice', 'warn', 'error', 'crit'];
/** Seconds a changed level lasts, as in Kong. */
const DEFAULT_TIMEOUT = 60;

/** `/debug/node/log-level` and its cluster form; control planes are few and each is told by itself. */
export function logLevelRoutes(log: AdminLog, clusterPath: string): AdminRoute[] {
  const { level } = log;
  if (level === undefined) return [];
  const change: Operation = {
    describe: {
      summary: 'Change the log level of this node for a while',
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
    handle(call) {
      const wanted = LEVELS.find((name) => name === param(call, 'log_level'));
      if (wanted === undefined) return message(400, `unknown log level: ${param(call, 'log_level')}`);
      const asked = Number(argument(call.body, 'timeout') ?? call.query.get('timeout') ?? DEFAULT_TIMEOUT);
      const timeout = Math.ceil(Number.isFinite(asked) ? asked : DEFAULT_TIMEOUT);
      if (timeout < 0) return message(400, 'timeout must be greater than or equal to 0');
      if (level.get() === wanted) return message(200, `log level is already ${wanted}`);
      level.set(wanted, timeout);
      return message(200, 'log level changed');
    },
  };
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
    { path: '/debug/node/log-level/{log_level}', methods: { PUT: change } },
    { path: `${clusterPath}/{log_level}`, methods: { PUT: change } },
  ];
}
