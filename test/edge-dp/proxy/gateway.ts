import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Log, LogLevel, Miniflare, type WorkerOptions } from 'miniflare';
import { bundleWorker, COMPATIBILITY_DATE, COMPATIBILITY_FLAGS } from '../../../edge-dp/hosts/bundle-worker.ts';
import { openListeningSockets } from '../../../edge-dp/hosts/listening-socket.ts';
import { DEFAULT_HTTP_LIMITS } from '../../../edge-dp/hosts/node/http/limits.ts';
import { runNode } from '../../../edge-dp/hosts/node/node-run.ts';
import { DEFAULT_LIMITS } from '../../../edge-dp/hosts/node/tls/limits.ts';
import { NO_SECRETS, SYSTEM_DNS } from '../../../edge-dp/hosts/options.ts';
import { RuntimeLog } from '../../../edge-dp/hosts/supervision/runtime-log.ts';
import { V8_FLAGS } from '../../../edge-dp/hosts/v8-flags.ts';
import { workerSettings } from '../../../edge-dp/hosts/worker-settings.ts';
import type { ProxySettings } from '../../../edge-dp/settings.ts';
import { nodeOptions, onHosts, ownBox } from '../hosts.ts';
import { PROXY_SETTINGS } from '../proxy-settings.ts';

/** Rows by table, every field optional but what the test is about. */
type Tables = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

interface GatewayOptions {
  /** Absent: that of an own box which tests run on. */
  readonly host?: GatewayHost;
  readonly tables: Tables;
  /** Lazy rows by table and lookup value. */
  readonly lazy?: Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>>;
  readonly proxy?: Partial<ProxySettings>;
  readonly peer?: string;
  readonly scheme?: 'http' | 'https';
  readonly services?: WorkerOptions['serviceBindings'];
  /** Milliseconds for which work goes on after a request that came with it, as plugins' or health checks' may. */
  readonly lingering?: number;
  /** Another Worker than the request path with the bundled plugins. */
  readonly entry?: string;
}

export interface RunningGateway {
  readonly port: number;
  readonly url: string;
  /** Sends bytes as they are on a connection of their own and collects the answer until it is complete or closed. */
  raw(request: string | Uint8Array): Promise<string>;
  /** Applies changes; gives the refusal, if any. */
  configure(changes: Readonly<Record<string, unknown>>): Promise<string | null>;
  /** Lines the Worker wrote to its log. */
  readonly log: readonly string[];
  stop(): Promise<void>;
}

const REQUEST_PATH = fileURLToPath(new URL('./workers/fixed-config.ts', import.meta.url));

/** What `startGateway` can run on: workerd (through Miniflare), or the native host's process. */
export const GATEWAY_HOSTS: readonly GatewayHost[] = onHosts<[GatewayHost]>([['workerd'], ['node']]).map(
  ([host]) => host,
);

export type GatewayHost = 'workerd' | 'node';

/** The request path on a real runtime, on a real socket, with a config of the test's own. */
export function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  return (options.host ?? ownBox) === 'node' ? startOnNode(options) : startOnWorkerd(options);
}

async function startOnNode(options: GatewayOptions): Promise<RunningGateway> {
  const log: string[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'holdfast gateway '));
  const main = join(folder, 'worker.mjs');
  await writeFile(main, (await bundleWorker(options.entry ?? REQUEST_PATH, 'node')).code);
  const sockets = await openListeningSockets([{ address: '127.0.0.1', port: 0 }]);
  const [socket] = sockets;
  if (socket === undefined) throw new Error('no socket');
  const { port } = socket;
  const plan = {
    settings: Object.assign(workerSettings(nodeOptions(folder, null), NODE_FACTS), { fixed: bindings(options) }),
    storage: folder,
    controlPlanes: [],
    forwardProxy: null,
    fallback: null,
    telemetry: null,
    clusterTls: null,
    dns: SYSTEM_DNS,
    trust: null,
    secrets: NO_SECRETS,
    folder,
    declarative: null,
    listeners: [
      {
        name: 'proxy-0',
        service: 'proxy' as const,
        port,
        loopback: true,
        tls: null,
        http2: false,
        proxyProtocol: false,
        sendProxyProtocol: false,
        udp: null,
      },
    ],
    tls: DEFAULT_LIMITS,
    http: DEFAULT_HTTP_LIMITS,
    ticketSecret: '',
    nodeSocket: join(folder, 'node.sock'),
  };
  const run = runNode(
    { kind: 'node', main, process: plan },
    [{ name: 'proxy-0', descriptor: socket.descriptor, servedBy: 'all', tls: null }],
    { place: 0, count: 1 },
    new RuntimeLog((_level, line) => {
      log.push(line);
      if (process.env.SHOW_WORKER !== undefined) process.stderr.write(`${line}\n`);
    }),
  );
  socket.release();
  await run.ready;
  return running(port, log, async () => {
    run.kill();
    await run.ended;
    await rm(folder, { recursive: true, force: true });
  });
}

const NODE_FACTS = {
  nodeId: '00000000-0000-4000-8000-000000000000',
  host: 'node',
  capabilities: [],
  ports: { http: 8000, https: null },
} as const;

/** What the Worker is told of the test's config. */
function bindings(options: GatewayOptions) {
  return {
    TABLES: JSON.parse(JSON.stringify(options.tables)),
    PROXY: { ...PROXY_SETTINGS, ports: { http: 8000, https: 8443 }, ...options.proxy },
    ...(options.lazy && { LAZY: JSON.parse(JSON.stringify(options.lazy)) }),
    ...(options.lingering && { LINGERING: options.lingering }),
    ...(options.peer && { PEER: options.peer }),
    ...(options.scheme && { SCHEME: options.scheme }),
  };
}

async function startOnWorkerd(options: GatewayOptions): Promise<RunningGateway> {
  const log: string[] = [];
  const { code, wasm } = await bundleWorker(options.entry ?? REQUEST_PATH);
  process.env.MINIFLARE_WORKERD_V8_FLAGS = V8_FLAGS.join(' ');
  const network = { network: { allow: ['public', 'private', 'local'], tlsOptions: { trustBrowserCas: true } } };
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    cf: false,
    log: new Log(LogLevel.NONE),
    logRequests: false,
    handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
      for (const stream of [stdout, stderr]) {
        stream.on('data', (text) => log.push(...String(text).split('\n').filter(Boolean)));
        if (process.env.SHOW_WORKER !== undefined) stream.pipe(process.stderr);
      }
    },
    workers: [
      {
        name: 'gateway',
        modules: [
          { type: 'ESModule', path: 'worker.js', contents: code },
          ...wasm.map(({ name, bytes }) => ({ type: 'CompiledWasm' as const, path: name, contents: bytes })),
        ],
        compatibilityDate: COMPATIBILITY_DATE,
        compatibilityFlags: [...COMPATIBILITY_FLAGS],
        bindings: bindings(options),
        serviceBindings: { NETWORK: network, ...options.services },
        unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
      },
    ],
  });
  await miniflare.ready;
  const url = await miniflare.unsafeGetDirectURL('gateway');
  return running(Number(url.port), log, () => miniflare.dispose());
}

function running(port: number, log: readonly string[], stop: () => Promise<void>): RunningGateway {
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    log,
    raw: (request) => exchange(port, request),
    async configure(changes) {
      const body = JSON.stringify(changes);
      const head = `PUT / HTTP/1.1\r\nHost: config\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
      const answer = await exchange(port, head + body);
      return answer.startsWith('HTTP/1.1 204') ? null : (answer.split('\r\n\r\n')[1] ?? answer);
    },
    stop,
  };
}

function exchange(port: number, request: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.setEncoding('latin1');
    socket.on('data', (data: string) => {
      answer += data;
      if (complete(answer, request)) socket.end();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
    socket.setTimeout(60_000, () => socket.destroy(new Error(`no answer within 60 s, only '${answer}'`)));
  });
}

/** Whether an HTTP/1.1 response has fully arrived, so that a kept-alive connection need not be waited for. */
function complete(whole: string, request: string | Uint8Array): boolean {
  const answer = whole.replace(/^HTTP\/1.1 100 .*\r\n\r\n/, '');
  const end = answer.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const head = answer.slice(0, end).toLowerCase();
  if (String(request).startsWith('HEAD') || /^http\/1.1 (204|304|101)/.test(head)) return true;
  const length = /\r\ncontent-length: (\d+)/.exec(head);
  if (length !== null) return answer.length - end - 4 >= Number(length[1]);
  return head.includes('transfer-encoding: chunked') && answer.endsWith('0\r\n\r\n');
}
