import { type ManifestSplit, placeInSplit, splitHeader } from '../../shared/bundle/split.ts';
import { messageOf } from '../../shared/thrown.ts';
import { jointDirectory } from '../balancer/joint-directory.ts';
import type { IncomingRequest } from '../http/messages.ts';
import type { ExplainedCaller } from '../proxy/explanation.ts';
import type { Arrival, RequestPath, ServedPath } from '../proxy/request-path.ts';
import type { RouterRequest } from '../router/request.ts';
import type { LazyTables } from './lazy.ts';

/** A config that is tried on a part of the requests. */
interface Trial {
  readonly split: ManifestSplit;
  readonly path: RequestPath;
  readonly lazy: LazyTables;
}

/**
 * Two configs, between which HTTP requests are split: each meets one of them, whole, from its routing to its last log line. What comes
 * before a request, TLS and its certificates, and connections that are no HTTP are the business of `rest`.
 */
export function splitPath(rest: RequestPath, { split, path, lazy: triedLazy }: Trial): ServedPath {
  const tried = path.onTrial(split.release);
  const { serial, rest_serial: restSerial, release, percent, by } = split;
  const isChosen = chooser(rest, split);
  return {
    balancers: jointDirectory(rest.balancers, tried.balancers),
    get shownMetrics() {
      return rest.shownMetrics;
    },
    serverCertificate: (serverName) => rest.serverCertificate(serverName),
    beginTls: (arrival) => rest.beginTls(arrival),
    openSession: (arrival) => rest.openSession(arrival, restSerial),
    finish: () => rest.finish(),
    explain(request, caller) {
      const chosen = isIn(split, explainedValue(split, request, caller));
      const explained = (chosen ? tried : rest).explain(request, caller);
      return { ...explained, release: { id: release, percent, by, chosen } };
    },
    handle(request, arrival, lazy) {
      const serve = (chosen: boolean) =>
        chosen ? tried.handle(request, arrival, triedLazy, serial) : rest.handle(request, arrival, lazy, restSerial);
      const chosen = isChosen(request, arrival, lazy);
      return typeof chosen === 'boolean' ? serve(chosen) : chosen.then(serve);
    },
  };
}

type Choose = (request: IncomingRequest, arrival: Arrival, lazy: LazyTables) => boolean | Promise<boolean>;

/** Says of requests whether the release is tried on them. */
function chooser(rest: RequestPath, split: ManifestSplit): Choose {
  switch (split.by) {
    case 'client_ip':
      return (request, arrival) => isIn(split, rest.clientIp(request, arrival));
    case 'colo':
      return (_, { edge }) => isIn(split, edge?.colo);
    case 'consumer':
      return (request, arrival, lazy) =>
        rest.claimant(request, arrival, lazy).then(
          (consumer) => isIn(split, consumer),
          (error: unknown) => {
            console.error(`release ${split.release} is not tried on a request: ${messageOf(error)}`);
            return false;
          },
        );
    default: {
      const name = splitHeader(split.by) ?? '';
      return ({ headers }) => isIn(split, headers.get(name));
    }
  }
}

/** A request without the value is none of those it is tried on. */
function isIn({ release, percent }: ManifestSplit, value: unknown): boolean {
  return typeof value === 'string' && value !== '' && placeInSplit(release, value) < percent;
}

/** What a request that is only described has of it. */
function explainedValue({ by }: ManifestSplit, request: RouterRequest, { consumer }: ExplainedCaller): unknown {
  switch (by) {
    case 'client_ip':
      return request.sourceIp;
    case 'colo':
      return request.edge?.colo;
    case 'consumer':
      return consumer;
    default:
      return request.header(splitHeader(by) ?? '')?.join(', ');
  }
}
