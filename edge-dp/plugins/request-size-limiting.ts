import type { RequestSizeLimitingConfig } from '../../shared/plugins/request-size-limiting.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { HttpResponse } from '../http/messages.ts';
import type { Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/** Refuses requests whose bodies are too long, by what they say of their length and by what then comes. */
const requestSizeLimiting: Plugin<RequestSizeLimitingConfig> = {
  name: 'request-size-limiting',
  version: KONG_VERSION,
  priority: 951,
  compile({ allowed_payload_size, size_unit, require_content_length }) {
    const most = (allowed_payload_size ?? DEFAULT_SIZE) * BYTES[size_unit];
    return {
      access(request) {
        const declared = request.headers.get('content-length');
        if (declared !== null) return Number(declared) > most ? refuse(request) : undefined;
        const chunked = request.headers.get('transfer-encoding') === 'chunked';
        if (require_content_length && !chunked) return request.error(411, 'A valid Content-Length header is required');
        const { length } = request.body;
        // None, or one that a plugin before has read.
        if (length !== null) return length > most ? refuse(request) : undefined;
        // A long one is not waited for: it is counted on its way.
        if (most <= READ_AT_MOST)
          return request.body.read(most).then((body) => (body === null ? refuse(request) : undefined));
        request.body.limit(most, TOO_LARGE, refusalStatus(request));
        return undefined;
      },
    };
  },
};

export default requestSizeLimiting;

const TOO_LARGE = 'Request size limit exceeded';
const DEFAULT_SIZE = 128;
const BYTES = { bytes: 1, kilobytes: 1 << 10, megabytes: 1 << 20 } as const;
/** Bodies in chunks are read before they are sent up to this size, so that no upstream sees a part of one that is refused. */
const READ_AT_MOST = 1 << 20;

function refuse(request: GatewayRequest): HttpResponse {
  return request.error(refusalStatus(request), TOO_LARGE);
}

function refusalStatus({ headers }: GatewayRequest): 413 | 417 {
  return headers.get('expect')?.trim().toLowerCase() === '100-continue' ? 417 : 413;
}
