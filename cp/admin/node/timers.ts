import { getActiveResourcesInfo } from 'node:process';
import { objectOf } from '../openapi/description.ts';
import { ok } from '../reply.ts';
import type { AdminRoute } from '../route.ts';

/** Timers and other resources that keep the Node process busy, by kind. */
export function activeTimers(): { running: number; pending: number; byKind: Readonly<Record<string, number>> } {
  const byKind: Record<string, number> = {};
  for (const kind of getActiveResourcesInfo()) byKind[kind] = (byKind[kind] ?? 0) + 1;
  // Node runs one callback at a time and tells only which timers wait.
  return { running: 0, pending: (byKind.Timeout ?? 0) + (byKind.Immediate ?? 0), byKind };
}

/** `GET /timers` in Kong's shape: one worker, and what waits on its event loop. */
export const timerRoutes: readonly AdminRoute[] = [
  {
    path: '/timers',
    methods: {
      GET: {
        describe: {
          summary: 'What waits on the event loop',
          tag: 'information',
          success: {
            status: 200,
            schema: objectOf({
              worker: objectOf({ id: { type: 'integer' }, count: { type: 'integer' } }),
              stats: { type: 'object' },
            }),
          },
        },
        handle() {
          const { running, pending, byKind } = activeTimers();
          const total = Object.values(byKind).reduce((sum, count) => sum + count, 0);
          return ok({
            worker: { id: 0, count: 1 },
            stats: {
              // How often they ran, and in what, is told by nobody.
              sys: { total, runs: 0, running, pending, waiting: pending },
              timers: byKind,
              flamegraph: { running: '', pending: '', elapsed_time: '' },
            },
          });
        },
      },
    },
  },
];
