import { normalizePath } from '../../shared/normalize-path.ts';
import type { RequestTerminationConfig } from '../../shared/plugins/request-termination.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { queryValues } from '../proxy/query.ts';
import { splitHost } from '../router/host.ts';
import { isolateNumber } from './isolate-number.ts';
import { withCharset } from './own-charset.ts';
import { argumentTable, bodyTable, headerTable } from './request-tables.ts';
import { bareAnswer } from './runtime/bare-answer.ts';
import type { ForeseenRequest, Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import type { Services } from './runtime/services.ts';

/** Answers requests itself: with a message, with a body, or with what it saw of the request. */
const requestTermination: Plugin<RequestTerminationConfig> = {
  name: 'request-termination',
  version: KONG_VERSION,
  priority: 2,
  compile({ status_code, content_type, body, message, echo, trigger }, _place, { node }) {
    const text = message ?? MESSAGES[status_code];
    const content = body ?? (text === undefined ? undefined : { message: text });
    const headers = body && content_type ? { 'Content-Type': withCharset(content_type) } : {};
    const concerns = ({ headers: sent, query }: ForeseenRequest): boolean =>
      !trigger || sent.has(trigger) || queryValues(query, trigger).length > 0;
    return {
      foresee: (request) => (concerns(request) ? status_code : 'passes'),
      access(request) {
        if (!concerns(request)) return undefined;
        if (!echo && content === undefined) return bareAnswer(request, status_code);
        if (!echo) return request.exit(status_code, content, headers);
        return seen(request, node).then((all) =>
          request.exit(status_code, { ...(text !== undefined && { message: text }), ...all }),
        );
      },
    };
  },
};

export default requestTermination;

const MESSAGES: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  404: 'Not found',
  405: 'Method not allowed',
  500: 'An unexpected error occurred',
  502: 'Bad Gateway',
  503: 'Service unavailable',
};

/** Bodies are echoed up to this size. */
const BODY_LIMIT = 1 << 20;

async function seen(request: GatewayRequest, node: Services['node']): Promise<Readonly<Record<string, unknown>>> {
  const raw = await request.body.read(BODY_LIMIT);
  const text = raw === null || raw.length === 0 ? undefined : new TextDecoder().decode(raw);
  return {
    kong: { node_id: node.id, worker_pid: isolateNumber(), hostname: node.hostname },
    request: {
      scheme: request.scheme,
      host: splitHost(request.headers.get('host') ?? '').host,
      port: request.localPort,
      headers: headerTable(request.headers),
      query: argumentTable(request.query),
      body: raw === null || raw.length === 0 ? undefined : bodyOf(request.headers.get('content-type'), raw),
      raw_body: text,
      method: request.method,
      path: normalizePath(request.rawPath),
      uri_captures: { named: request.captures.named, unnamed: request.captures.positional },
    },
    matched_route: request.route?.row,
    matched_service: request.service?.row,
  };
}

/** Undefined for types that have no arguments. */
function bodyOf(type: string | null, bytes: Uint8Array): unknown {
  const read = bodyTable(type, bytes);
  return read.kind === 'table' ? read.value : undefined;
}
