import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type GatewayHost, type RunningGateway, startGateway } from '../../proxy/gateway.ts';
import { startUpstream, type Upstream } from '../../proxy/upstream.ts';

type Step = readonly [does: string, ...parameters: unknown[]];

/** What a plugin of `workers/probing.ts` does. */
interface Probe {
  readonly rewrite?: readonly Step[];
  readonly access?: readonly Step[];
  readonly response?: readonly Step[];
  /** Tells there what came of each request; `true`: the listener of this gateway. */
  readonly log?: string | true;
  readonly close?: string;
}

/** What a `log` hook tells. */
interface Logged {
  readonly name: string;
  readonly status: number;
  readonly source: string;
  readonly tries: readonly { readonly port: number; readonly status: number | null; readonly failure: string | null }[];
  readonly latencies: Readonly<Record<'kong' | 'proxy' | 'receive' | 'request', number>>;
  readonly bytes: { readonly in: number | null; readonly out: number | null };
  readonly aborted: boolean;
  readonly upstreamTarget: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly remembered?: unknown;
  readonly copied?: number | null;
}

export interface ProbeGateway {
  readonly gateway: RunningGateway;
  readonly upstream: Upstream;
  readonly listener: string;
  readonly logged: Logged[];
  /** The route's plugins from now on, by name; `ofGroup`: those of the consumer group vip, which ada is in. */
  use(
    plugins: Readonly<Record<string, Probe>>,
    options?: { readonly global?: boolean; readonly ofGroup?: Readonly<Record<string, Probe>> },
  ): Promise<void>;
  /** Waits until so many have been told. */
  told(count: number): Promise<readonly Logged[]>;
  stop(): Promise<void>;
}

const id = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

/** One route to one upstream on a real runtime, with plugins as a test writes them down. */
export async function startProbeGateway(
  answer?: Parameters<typeof startUpstream>[0],
  host?: GatewayHost,
): Promise<ProbeGateway> {
  const logged: Logged[] = [];
  const listener = createServer((request, response) => {
    let text = '';
    request.on('data', (data) => {
      text += data;
    });
    request.on('end', () => {
      logged.push(JSON.parse(text));
      response.end();
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/`;
  const upstream = await startUpstream(answer);
  const gateway = await startGateway({
    ...(host !== undefined && { host }),
    entry: fileURLToPath(new URL('./workers/probing.ts', import.meta.url)),
    lazy: {
      consumer_group_consumers: { ada: [{ id: id(4), consumer_group: { id: id(3) }, consumer: { id: 'ada' } }] },
    },
    tables: {
      services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: upstream.port, retries: 1 }],
      consumer_groups: [{ id: id(3), name: 'vip' }],
      routes: [{ id: id(2), name: 'probed', paths: ['/'], protocols: ['http'], service: { id: id(1) } }],
    },
  });
  let rows: string[] = [];
  return {
    gateway,
    upstream,
    listener: url,
    logged,
    async use(plugins, { global = false, ofGroup = {} } = {}) {
      const rowsOf = (probes: Readonly<Record<string, Probe>>, first: number, place: object) =>
        Object.entries(probes).map(([name, config], n) => ({
          id: id(first + n),
          name,
          config: { ...config, log: config.log === true ? url : config.log },
          ...place,
        }));
      const upserts = [
        ...rowsOf(plugins, 1000, global ? {} : { route: { id: id(2) } }),
        ...rowsOf(ofGroup, 2000, { route: { id: id(2) }, consumer_group: { id: id(3) } }),
      ];
      expect(await gateway.configure({ plugins: { upserts, deletes: rows } })).toBeNull();
      rows = upserts.map((row) => row.id);
      logged.length = 0;
      upstream.seen.length = 0;
    },
    async told(count) {
      await expect.poll(() => logged.length, { message: `${count} to be told` }).toBe(count);
      return logged;
    },
    async stop() {
      await gateway.stop();
      await upstream.stop();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
