import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DataPlane } from '../../../edge-dp/hosts/options.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { ControlPlane } from '../control-plane.ts';
import { type NodeOverrides, nodeOptions, type StartHost, startOwnBox } from '../hosts.ts';

/** Rows by table, every field optional but what the test is about. */
type Tables = Readonly<Record<string, readonly BundleRow[]>>;

/** A whole data plane node on its host, as `holdfast start` runs it, with its egress process and a config of the test's own. */
export interface ProxyNode {
  readonly dataPlane: DataPlane;
  readonly controlPlane: ControlPlane;
  readonly port: number;
  readonly url: string;
  readonly statusUrl: string;
  readonly prefix: string;
  readonly log: readonly string[];
  /** Sends bytes as they are on a connection of their own; gives what came back. */
  raw(request: string | Uint8Array, until?: Until): Promise<RawAnswer>;
  stop(): Promise<void>;
}

/** How long an exchange of bytes goes on: until the node ends the connection, or earlier. */
interface Until {
  /** So many complete responses have come. */
  readonly answers?: number;
  /** Nothing has come for so many milliseconds; 60,000 when not said. */
  readonly quiet?: number;
}

interface RawAnswer {
  /** latin1. */
  readonly text: string;
  /** Whether the node ended the connection. */
  readonly closed: boolean;
}

export async function startProxyNode(
  tables: Tables,
  {
    start = startOwnBox,
    entry,
    ...overrides
  }: NodeOverrides & { readonly start?: StartHost; readonly entry?: string } = {},
): Promise<ProxyNode> {
  const log: string[] = [];
  const controlPlane = await ControlPlane.create();
  await controlPlane.start();
  await controlPlane.publish(Object.fromEntries(Object.entries(tables).map(([name, rows]) => [name, { rows }])));
  const prefix = await mkdtemp(join(tmpdir(), 'holdfast proxy '));
  const dataPlane = await start(
    nodeOptions(prefix, controlPlane, { log: (level, message) => void log.push(`${level} ${message}`), ...overrides }),
    entry,
  );
  await controlPlane.heard('applied');
  const port = dataPlane.proxyAddresses[0]?.port ?? 0;
  return {
    dataPlane,
    controlPlane,
    port,
    url: `http://127.0.0.1:${port}`,
    statusUrl: `http://127.0.0.1:${dataPlane.statusAddresses[0]?.port}`,
    prefix,
    log,
    raw: (request, until = {}) => exchange(port, request, until),
    async stop() {
      await dataPlane.stop(0);
      await controlPlane.stop();
      await rm(prefix, { recursive: true, force: true });
    },
  };
}

function exchange(
  port: number,
  request: string | Uint8Array,
  { answers = Number.POSITIVE_INFINITY, quiet = 60_000 }: Until,
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let text = '';
    let closed = false;
    const socket: Socket = connect(port, '127.0.0.1');
    socket.setEncoding('latin1');
    if (typeof request === 'string') socket.write(request, 'latin1');
    else socket.write(request);
    socket.on('data', (data: string) => {
      text += data;
      if (responses(text).length >= answers) socket.end();
    });
    socket.on('end', () => {
      closed = responses(text).length < answers;
    });
    // A reset is an end too.
    socket.on('error', () => {
      closed = true;
    });
    socket.on('close', () => resolve({ text, closed }));
    socket.setTimeout(quiet, () => socket.destroy());
  });
}

interface RawResponse {
  readonly status: number;
  readonly head: string;
  /** Without its chunks' sizes. */
  readonly body: string;
}

/** The complete responses (to anything but HEAD) at the start of what came back. */
export function responses(text: string): RawResponse[] {
  const found: RawResponse[] = [];
  for (let at = 0; ; ) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end < 0) return found;
    const head = text.slice(at, end);
    const status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: (\d+)/i.exec(head);
    const bodyless = status === 204 || status === 304 || status < 200;
    const body = /\r\ntransfer-encoding: chunked/i.test(head)
      ? chunked(text, end + 4)
      : {
          text: text.slice(end + 4).slice(0, bodyless ? 0 : Number(length?.[1])),
          size: bodyless ? 0 : Number(length?.[1]),
        };
    if (body === null || !(body.text.length <= body.size) || text.length < end + 4 + body.size) return found;
    found.push({ status, head, body: body.text });
    at = end + 4 + body.size;
  }
}

/** A chunked body and the bytes it takes; null while it is incomplete. */
function chunked(text: string, from: number): { readonly text: string; readonly size: number } | null {
  let body = '';
  for (let at = from; ; ) {
    const line = text.indexOf('\r\n', at);
    if (line < 0) return null;
    const size = Number.parseInt(text.slice(at, line), 16);
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
    if (text.length < at) return null;
    if (size === 0) return { text: body, size: at - from };
  }
}

/** UUID number `n`. */
export const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** A service row for an address of this machine; timeouts and retries so that tests need not wait. */
export function service(n: number, port: number, extra: Readonly<Record<string, unknown>> = {}): BundleRow {
  return { id: id(n), name: `service-${n}`, protocol: 'http', host: '127.0.0.1', port, ...extra };
}

/** A route row from a path to the service of that number. */
export function route(n: number, path: string, to: number, extra: Readonly<Record<string, unknown>> = {}): BundleRow {
  return { id: id(1000 + n), paths: [path], protocols: ['http', 'https'], service: { id: id(to) }, ...extra };
}

/** Statuses of the responses in what came back. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}
