import { parseSocketAddress } from '../../shared/client-address.ts';
import type { Isolate } from '../config/isolate.ts';
import type { LiveConfig } from '../config/live.ts';
import { unfinished } from '../config/unfinished.ts';
import type { Env } from '../env.ts';
import { FetchRequest } from '../http/fetch/request.ts';
import { respond } from '../http/fetch/respond.ts';
import type { HttpResponse, IncomingRequest } from '../http/messages.ts';
import type { TlsTerms } from '../plugins/runtime/handshake.ts';
import type { EdgeRequests } from '../status/edge-requests.ts';
import type { StreamArrival, StreamPassage } from '../stream/passage.ts';
import { edgeColo, edgeFields } from './edge-fields.ts';
import { edgeTls } from './edge-tls.ts';
import type { Arrival, ServerCertificate, TlsArrival } from './request-path.ts';

/** What the host says about the listener a request came in on: `ctx.props` of the socket's service. */
interface ListenerProps {
  readonly listener?: { readonly scheme: 'http' | 'https'; readonly port: number };
}

/** The default entrypoint: every request on it is proxied by the config of the moment it arrived. */
export function proxyEntrypoint(
  isolate: Isolate,
  edgeRequests: EdgeRequests = () => null,
): {
  fetch(request: Request, env: Env, context: ExecutionContext<ListenerProps>): Promise<Response>;
  scheduled(controller: ScheduledController, env: Env, context: ExecutionContext): Promise<void>;
  begin(env: Env, waitUntil: Arrival['waitUntil']): Promise<void>;
  tellRestarts(total: number): void;
  serverCertificate(serverName: string): ServerCertificate | null;
  beginTls(arrival: TlsArrival): Promise<TlsTerms | 'refused'> | null;
  answer(request: IncomingRequest, arrival: Arrival, env: Env): Promise<HttpResponse>;
  openSession(arrival: StreamArrival, env: Env): StreamPassage | null | Promise<StreamPassage | null>;
} {
  return {
    /** For a host that has something to wait for before it listens: resolves when there is config, or it is known that there is none. */
    async begin(env, waitUntil) {
      await isolate.started(env, waitUntil);
    },

    /** For a host whose supervisor can say it: how many processes of the node were started again by now. */
    tellRestarts(total) {
      isolate.restarts = total;
    },

    /** For a host that does TLS by server name: by the config of this moment. */
    serverCertificate: (serverName) => isolate.current.held?.live.path.serverCertificate(serverName) ?? null,

    /** For a host that does TLS: by the config of this moment. */
    beginTls: (arrival) => isolate.current.held?.live.path.beginTls(arrival) ?? null,

    /** For a host that has messages of its own. */
    answer(request, arrival, env) {
      isolate.traffic.count();
      const config = isolate.config(env, arrival.waitUntil);
      return config instanceof Promise
        ? config.then(({ path, lazy, serial }) => path.handle(request, arrival, lazy, serial))
        : config.path.handle(request, arrival, config.lazy, config.serial);
    },

    /** For a host that takes what is no HTTP. */
    openSession(arrival, env) {
      isolate.traffic.count();
      const config = isolate.config(env, arrival.waitUntil);
      return config instanceof Promise
        ? config.then(({ path, serial }) => path.openSession(arrival, serial))
        : config.path.openSession(arrival, config.serial);
    },

    // Not async: on this way every promise that is not needed costs each request a percent.
    fetch(request, env, context) {
      const waitUntil = (work: Promise<unknown>): void => context.waitUntil(work);
      const atEdge = env.SETTINGS.node.host === 'cloudflare';
      const answered = atEdge ? edgeRequests(request, env, waitUntil) : null;
      if (answered !== null) return Promise.resolve(answered);
      if (atEdge) isolate.colo ??= edgeColo(request.cf);
      isolate.traffic.count();
      const incoming = new FetchRequest(request, { version: httpVersion(request, env), ownConnections: !atEdge });
      const serve = ({ path, lazy, serial }: LiveConfig): Promise<Response> =>
        path
          .handle(incoming, arrival(request, env, context, waitUntil), lazy, serial)
          .then((response) => respond(incoming, response, waitUntil));
      const config = isolate.config(env, waitUntil);
      return config instanceof Promise ? config.then(serve) : serve(config);
    },

    /** Cloudflare's cron: a data plane without traffic keeps its link and its cache all the same. */
    async scheduled(_controller, env, context) {
      // What is missing is told by the first request; there is nothing to link with.
      if (env.SETTINGS.node.host === 'cloudflare' && unfinished(env).length > 0) return;
      await isolate.config(env, (work) => context.waitUntil(work));
    },
  };
}

function arrival(
  request: Request,
  env: Env,
  context: ExecutionContext<ListenerProps>,
  waitUntil: Arrival['waitUntil'],
): Arrival {
  const listener = context.props?.listener;
  const scheme = listener?.scheme ?? (request.url.startsWith('https:') ? 'https' : 'http');
  const localPort = listener?.port ?? env.SETTINGS.proxy.ports[scheme] ?? edgePort(request, env);
  const { peerIp, peerPort, edge } = peer(request, env);
  const tls = env.SETTINGS.node.host === 'cloudflare' ? edgeTls(request.cf) : null;
  return { peerIp, peerPort, edge, localIp: null, localPort, scheme, sni: null, tls, waitUntil };
}

/** Cloudflare listens on several ports, and a request's URL has the one it came in on. */
function edgePort(request: Request, env: Env): number | null {
  const port = env.SETTINGS.node.host === 'cloudflare' ? new URL(request.url).port : '';
  return port === '' ? null : Number(port);
}

type Peer = Pick<Arrival, 'peerIp' | 'peerPort' | 'edge'>;

const UNKNOWN_PEER: Peer = { peerIp: null, peerPort: null, edge: null };

/** Each host tells the peer in its own way; where it cannot be told, what a client may have forged is not believed. */
function peer(request: Request, env: Env): Peer {
  switch (env.SETTINGS.node.host) {
    case 'workerd': {
      const address = request.cf?.clientIp;
      const socket = typeof address === 'string' ? parseSocketAddress(address) : null;
      return socket === null ? UNKNOWN_PEER : { peerIp: socket.ip, peerPort: socket.port, edge: null };
    }
    case 'cloudflare':
      return { peerIp: request.headers.get('cf-connecting-ip'), peerPort: null, edge: edgeFields(request.cf) };
    case 'miniflare':
    case 'node':
      return UNKNOWN_PEER;
  }
}

/** Of HTTP as the client spoke it; only Cloudflare says so, where clients may speak others. */
function httpVersion(request: Request, env: Env): string {
  const protocol: unknown = env.SETTINGS.node.host === 'cloudflare' ? request.cf?.httpProtocol : null;
  return typeof protocol === 'string' && protocol.startsWith('HTTP/') ? protocol.slice(5) : '1.1';
}
