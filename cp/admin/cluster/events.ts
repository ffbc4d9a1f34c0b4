import { type EventHub, EventsUnavailable } from '../../events/hub.ts';
import { message } from '../reply.ts';
import type { AdminRoute } from '../route.ts';

/** Seconds. */
const RETRY_AFTER = '10';

/** `GET /events`: what happens in the cluster, as Server-Sent Events (WHATWG HTML, 9.2). */
export function eventRoutes(events: Pick<EventHub, 'open'> | null): AdminRoute[] {
  return [
    {
      path: '/events',
      methods: {
        GET: {
          describe: {
            summary: 'What happens from now on, or since an event, as Server-Sent Events (docs/events.md)',
            tag: 'cluster',
            query: [
              {
                name: 'last_event_id',
                description: 'The id of an event to go on behind, for clients that cannot send Last-Event-ID.',
                schema: { type: 'string' },
              },
            ],
            success: { status: 200, contentType: 'text/event-stream', schema: { type: 'string' } },
            errors: [400, 503],
          },
          async handle({ header, query }) {
            if (events === null) return message(400, 'this control plane has no data planes');
            try {
              const last = header('last-event-id') ?? query.get('last_event_id') ?? '';
              return { status: 200, headers: HEADERS, stream: await events.open(last === '' ? null : last) };
            } catch (error) {
              if (!(error instanceof EventsUnavailable)) throw error;
              return { ...message(503, error.message), headers: { 'retry-after': RETRY_AFTER } };
            }
          },
        },
      },
    },
  ];
}

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // So that nginx in front of it passes each event on at once.
  'x-accel-buffering': 'no',
  // Nothing else comes on it, and a listener that closes need not wait for it.
  connection: 'close',
};
