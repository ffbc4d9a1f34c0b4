import type { CorrelationIdConfig } from '../../shared/plugins/correlation-id.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { firstLine } from '../http/fields.ts';
import { isolateNumber } from './isolate-number.ts';
import type { Plugin } from './runtime/plugin.ts';
import { slot } from './runtime/slot.ts';

/** The id a request was given: the `correlation_id` of its log entry. */
export const correlation = slot<string>();

/** Gives each request an id: the client's own, or one of the three kinds Kong makes. */
const correlationId: Plugin<CorrelationIdConfig> = {
  name: 'correlation-id',
  version: KONG_VERSION,
  priority: 100001,
  compile({ header_name, generator, echo_downstream }) {
    const header = header_name ?? 'Kong-Request-ID';
    const generate = GENERATORS[generator];
    return {
      foresee: () => 'passes',
      access(request) {
        let id = firstLine(request.headers, header);
        if (id === null || id === '') {
          id = generate();
          request.headers.set(header, id);
        }
        correlation.set(request, id);
        return undefined;
      },
      response(request, reply) {
        if (!echo_downstream) return undefined;
        const id = correlation.get(request) ?? firstLine(request.headers, header);
        reply.headers.set(header, id === null || id === '' ? generate() : id);
        return undefined;
      },
    };
  },
};

export default correlationId;

/** One per isolate, made with the first id: a Worker has no random numbers before its first request. */
let isolate: { readonly uuid: string; count: number } | null = null;

function counted(): { readonly uuid: string; readonly count: number } {
  isolate ??= { uuid: crypto.randomUUID(), count: 0 };
  isolate.count += 1;
  return isolate;
}

const GENERATORS = {
  uuid: () => crypto.randomUUID(),
  'uuid#counter': () => {
    const { uuid, count } = counted();
    return `${uuid}#${count}`;
  },
  /**
   * Kong's is `<server address>-<port>-<pid>-<connection>-<request on it>-<seconds>`. A Worker sees neither process
   * nor connection: the isolate's number and its count of requests stand in, with the same shape.
   */
  tracker: () => {
    const { count } = counted();
    return `0.0.0.0-0-${isolateNumber()}-${count}-1-${(Date.now() / 1000).toFixed(3)}`;
  },
} as const;
