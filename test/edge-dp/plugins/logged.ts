import { FieldList } from '../../../edge-dp/http/fields.ts';
import { type LogEntry, logEntry } from '../../../edge-dp/plugins/log-entry.ts';
import type { Exchange } from '../../../edge-dp/plugins/runtime/exchange.ts';
import type { GatewayRequest } from '../../../edge-dp/plugins/runtime/request.ts';

/** The log entry of a request that plugins alone have seen. */
export function logged(request: GatewayRequest): LogEntry {
  return logEntry(overAtOnce(request));
}

/** What came of such a request, which took no time. */
export function overAtOnce(request: GatewayRequest): Exchange {
  return {
    request,
    reply: { status: 200, headers: new FieldList(), source: 'service' },
    upstreamTarget: null,
    upstreamUri: '',
    workspaceName: null,
    listenerPort: null,
    tries: [],
    lookup: null,
    latencies: { kong: 0, proxy: 0, receive: 0, request: 0 },
    bytes: { in: null, out: null },
    aborted: false,
    clientLeft: false,
    endedAt: request.startedAt,
  };
}
