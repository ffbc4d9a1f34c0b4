import type { HttpResponse, IncomingRequest } from '../../../http/messages.ts';
import type { TlsTerms } from '../../../plugins/runtime/handshake.ts';
import type { Arrival, ServerCertificate, TlsArrival } from '../../../proxy/request-path.ts';
import type { StreamArrival, StreamPassage } from '../../../stream/passage.ts';
import type { DurableClass } from '../bindings/durable-objects.ts';

/** What the Worker's main module gives its host (`edge-dp/worker.ts`). */
export interface WorkerModule {
  readonly default: {
    begin?(env: object, waitUntil: (work: Promise<unknown>) => void): Promise<void>;
    tellRestarts?(total: number): void;
    serverCertificate?(serverName: string): ServerCertificate | null;
    beginTls?(arrival: TlsArrival): Promise<TlsTerms | 'refused'> | null;
    answer(request: IncomingRequest, arrival: Arrival, env: object): Promise<HttpResponse>;
    openSession?(arrival: StreamArrival, env: object): StreamPassage | null | Promise<StreamPassage | null>;
    /** Asks for newer config, where it is time to. */
    scheduled?(controller: object, env: object, context: object): Promise<void>;
  };
  readonly Status?: Entrypoint;
  readonly NodeService?: Entrypoint;
  readonly ClusterLink?: DurableClass;
  readonly HealthChecker?: DurableClass;
  readonly NodeState?: DurableClass;
}

type Entrypoint = new (context: object, env: object) => { fetch(request: Request): Response | Promise<Response> };
