import type { Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { TLS_CIPHERS } from '../../../../shared/tls-ciphers.ts';
import type { TlsArrival } from '../../../proxy/request-path.ts';
import { loadFetchServer, serveFetch } from '../bindings/node-service.ts';
import { listenForRequests, type ProxyListener } from '../http/listener.ts';
import { RefusalPages } from '../http/refuse.ts';
import { NODE_SOCKET, type ToProcess } from '../messages.ts';
import { createDial } from '../stream/dial.ts';
import { listenForTcp, type OpenSession, type StreamListener } from '../stream/tcp-listener.ts';
import { listenForUdp } from '../stream/udp-listener.ts';
import type { ListenerTlsOptions } from '../tls/handshakes.ts';
import { makeEnv } from './env.ts';
import { hostCounts } from './host-counts.ts';
import type { WorkerModule } from './worker-module.ts';

type Start = Extract<ToProcess, { type: 'start' }>;

/** Milliseconds before a process is killed in which it ends the sessions there still are, and has them logged. */
const LAST_WORDS = 1_500;

/** A process that serves. */
export interface Serving {
  /** How many processes of the node were started again by now. */
  tellRestarts(total: number): void;
  /** Finishes what there is within `drain` ms: requests in flight, sessions, and what plugins hold. */
  stop(drain: number): Promise<void>;
}

/** Milliseconds that those get who came while nobody served. */
const WAITING = 50;

/** Milliseconds a process may take for its start sequence before it has to serve without. */
const START_PATIENCE = 10_000;

/** Starts the node's part in this process: bindings, the start sequence, and then the listeners, so that no client waits for it. */
export async function startServing(worker: WorkerModule, { plan, first, cold, descriptors }: Start): Promise<Serving> {
  const { env, node, namespaces } = await makeEnv(worker, plan, first);
  const count = hostCounts(node);
  const waitUntil = (work: Promise<unknown>): void => {
    work.catch((error: unknown) => console.error('work of the node failed:', error));
  };
  const descriptorOf = (name: string): number => {
    const descriptor = descriptors[name];
    if (descriptor === undefined) throw new Error(`no socket ${name}`);
    return descriptor;
  };

  const own: Server[] = [];
  const { NodeService, Status } = worker;
  if (first && NodeService !== undefined) {
    const answer = (request: Request) => new NodeService({ waitUntil }, env).fetch(request);
    own.push(await serveFetch(descriptorOf(NODE_SOCKET), answer));
  }
  const status = (props: object, request: Request): Response | Promise<Response> => {
    if (Status === undefined) return new Response(null, { status: 404 });
    return new Status({ waitUntil, props }, env).fetch(request);
  };
  const { default: main } = worker;
  if (!cold) await loadFetchServer();
  await atMost(START_PATIENCE, Promise.resolve(main.begin?.(env, waitUntil)));

  const listeners: (ProxyListener | StreamListener)[] = [];
  const certificateOf = (serverName: string) => main.serverCertificate?.(serverName) ?? null;
  const beginTls = (arrival: TlsArrival) => main.beginTls?.(arrival) ?? null;
  const dialFor = createDial();
  const pages = new RefusalPages(plan.settings.proxy);
  const openSession: OpenSession = (arrival) => main.openSession?.(arrival, env) ?? null;
  for (const planned of plan.listeners) {
    const { name, service, port, loopback, tls, http2, proxyProtocol, sendProxyProtocol, udp } = planned;
    if (udp !== null) {
      // Each process has one of its own; those of the others are none of its business.
      const descriptor = descriptors[name];
      if (descriptor !== undefined) listeners.push(await listenForUdp({ descriptor, port, address: udp }, openSession));
    } else if (service !== 'status') {
      const options = {
        descriptor: descriptorOf(name),
        port,
        limits: plan.http,
        tls:
          tls === null
            ? null
            : {
                pairs: [tls, ...(tls.others ?? [])],
                limits: plan.tls,
                certificateOf,
                beginTls,
                ticketSecret: plan.ticketSecret,
              },
        http2,
        proxyProtocol,
        sendProxyProtocol,
        pages,
        count,
      };
      const listener =
        service === 'proxy'
          ? listenForRequests(options, (request, arrival) => main.answer(request, arrival, env))
          : listenForTcp(forStreams(options), openSession, dialFor);
      listeners.push(await listener);
    } else if (first) {
      const server =
        tls === null ? undefined : createTlsServer({ ...tls, minVersion: 'TLSv1.2', ciphers: TLS_CIPHERS });
      const props = { listener: { scheme: tls === null ? 'http' : 'https', port, loopback } };
      own.push(await serveFetch(descriptorOf(name), (request) => status(props, request), server));
    }
  }

  // What is due on the node's own account, its link above all, comes after those who have waited for the listeners.
  const waking = setTimeout(() => {
    waitUntil(loadFetchServer());
    for (const namespace of namespaces) namespace.wake();
  }, WAITING);
  // A process without traffic takes a change as soon as the others.
  const { scheduled } = main;
  const news = first ? null : setInterval(() => void scheduled?.({}, env, { waitUntil }), plan.settings.newsInterval);

  return {
    tellRestarts(total) {
      main.tellRestarts?.(total);
    },
    async stop(drain) {
      clearTimeout(waking);
      if (news !== null) clearInterval(news);
      // What does not end by itself must still be logged.
      setTimeout(
        () => {
          for (const listener of listeners) if ('cut' in listener) listener.cut();
        },
        drain - Math.min(LAST_WORDS, drain / 2),
      );
      const drained = Promise.all(listeners.map((listener) => listener.drain()));
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const draining = { method: 'POST', headers, body: 'status=draining&wait=true' };
      const sent = await status({}, new Request('http://localhost/status/ready', draining));
      await Promise.all([drained, sent.text().catch(() => '')]);
      for (const namespace of namespaces) namespace.stop();
      for (const server of own) server.close();
    },
  };
}

/** A start that fails, or takes too long, is told in the log by those it is made of; the process serves as it can. */
async function atMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | null = null;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), milliseconds);
  });
  const done = await Promise.race([work.catch((error: unknown) => error), late]);
  if (timer !== null) clearTimeout(timer);
  if (done === 'late') console.warn('a new process serves before its start sequence is done');
  else if (done instanceof Error) console.warn(`the start sequence failed: ${done.message}`);
}

/** What is asked of clients of streams has settings of its own, as nginx has directives of its own for them. */
function forStreams<T extends { readonly tls: ListenerTlsOptions | null }>(options: T): T {
  if (options.tls === null) return options;
  const { clients: _, streamClients, ...rest } = options.tls.limits;
  const limits = streamClients === undefined ? rest : { ...rest, clients: streamClients };
  return { ...options, tls: { ...options.tls, limits } };
}
