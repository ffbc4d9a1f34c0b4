import { QUEUE_DROPPED } from '../plugins/services/dropped-entries.ts';

/** What hosts count beside the request path, and tell the node's keeper of metrics. */
export const HTTP2_ENDED = 'holdfast_http2_connections_ended_total';

export const HOST_FAMILIES = {
  [HTTP2_ENDED]: {
    help: 'HTTP/2 connections of clients that the data plane ended, by the reason',
    bounds: null,
  },
  [QUEUE_DROPPED]: {
    help: 'Entries of queues (of logs, spans, metrics) that were dropped, by the queue and the reason',
    bounds: null,
  },
} as const;
