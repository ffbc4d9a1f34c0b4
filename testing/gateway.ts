import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataPlaneOptions } from '../cp/commands/data-plane-options.ts';
import { choosePlugins } from '../cp/commands/enabled-plugins.ts';
import { createLog } from '../cp/instance/log.ts';
import { luaModules } from '../cp/lua/modules.ts';
import { loadSettings } from '../cp/settings/load.ts';
import type { SettingName } from '../cp/settings/properties.ts';
import { TESTED_ENTRY } from '../edge-dp/hosts/bundle-worker.ts';
import { startMiniflareHost } from '../edge-dp/hosts/miniflare/host.ts';
import { workerEntry } from '../edge-dp/hosts/own-plugins.ts';
import { provideDataPlaneLua } from '../edge-dp/hosts/plugin-lua.ts';
import { dataPlanePlugins } from '../edge-dp/hosts/plugins.ts';
import { provideLua } from '../shared/lua/provided.ts';
import { isRecord, type Row, recordOrEmpty } from '../shared/record.ts';
import { type ConfigSource, documentUnderTest } from './document.ts';
import { startUpstreams, type UpstreamHandler } from './upstreams.ts';

export interface GatewayOptions {
  /** The declarative document: the path of a file, its text, or an object. */
  readonly config: ConfigSource;
  /** What answers in place of upstreams, by the host that services name. Others are reached as they are. */
  readonly upstreams?: Readonly<Record<string, UpstreamHandler>>;
  /** Settings of a data plane, by their names. */
  readonly settings?: Readonly<Partial<Record<SettingName, string>>>;
  /** What `{vault://env/…}` finds. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A request that is only described; GET with the gateway's own host, of nobody, unless it says otherwise. */
export interface DescribedRequest {
  readonly method?: string;
  readonly host?: string;
  readonly scheme?: 'http' | 'https';
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly sni?: string;
  readonly source_ip?: string;
  readonly source_port?: number;
  readonly destination_port?: number;
  /** Id of the consumer that authentication would find. */
  readonly consumer?: string;
}

/** A data plane of its own, on Miniflare. */
export interface TestGateway {
  /** Where it takes requests. */
  readonly url: string;
  /** As the global `fetch`, with a path of the gateway; redirects are not followed. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Where a request with this path would go, and why, without sending it: what `POST /debug/route` answers. Rejects what is wrong with the description. */
  explain(path: string, request?: DescribedRequest): Promise<Readonly<Row>>;
  /**
   * Puts the data plane's clock ahead: windows of rate limits end, tokens and copies of answers expire. Timers are not told, nor is
   * anything outside of the data plane.
   */
  advance(seconds: number): Promise<void>;
  /** All log entries so far (Kong's, as logging plugins write them), once there are `count`; rejects when they have not come in 30 seconds. */
  logEntries(count?: number): Promise<readonly Readonly<Row>[]>;
  /** What the data plane has said at `warn` and `error`. */
  readonly problems: readonly string[];
  /** Serves another document, with the same stand-ins; requests are refused meanwhile. */
  reload(config: ConfigSource): Promise<void>;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const PATIENCE = 30_000;

/**
 * Runs the data plane's Worker with a document, on ports of its own, so that several may run side by side. Throws what is wrong with
 * the document or the settings, as `holdfast start` says it.
 */
export async function startGateway(options: GatewayOptions): Promise<TestGateway> {
  provideLua(luaModules);
  provideDataPlaneLua();
  const upstreams = await startUpstreams(options.upstreams ?? {});
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-testing-'));
  const entries = new Entries();
  const problems: string[] = [];
  const hostOptions = (config: ConfigSource) => optionsFor(config, options, { folder, upstreams, entries, problems });
  const clear = async () => {
    await upstreams.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const first = await hostOptions(options.config);
    const node = await startMiniflareHost(
      first,
      await workerEntry(first.plugins, join(folder, 'worker'), TESTED_ENTRY),
    );
    const statusUrl = `http://127.0.0.1:${node.statusAddresses[0]?.port}`;
    let ahead = 0;
    const setClock = () => askStatus(new URL(`/clock?ahead=${ahead}`, statusUrl));
    const url = `http://127.0.0.1:${node.proxyAddresses[0]?.port}`;
    const stop = () => node.stop().finally(clear);
    return {
      url,
      fetch: (path, init) => fetch(new URL(path, url), { redirect: 'manual', ...init }),
      logEntries: (count = 1) => entries.atLeast(count),
      problems,
      async explain(path, request = {}) {
        const described = { host: new URL(url).host, ...request, path };
        return recordOrEmpty(JSON.parse(await askStatus(new URL('/debug/route', statusUrl), described)));
      },
      async advance(seconds) {
        if (!(seconds >= 0)) throw new Error(`advance: expected seconds, found ${seconds}; the clock does not go back`);
        ahead += seconds * 1000;
        await setClock();
      },
      async reload(config) {
        await node.reload(await hostOptions(config));
        if (ahead > 0) await setClock();
      },
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await clear();
    throw error;
  }
}

/** Throws what the Status API refuses. */
async function askStatus(url: URL, body?: object): Promise<string> {
  const answer = await fetch(url, { method: 'POST', ...(body !== undefined && { body: JSON.stringify(body) }) });
  const text = await answer.text();
  if (answer.ok) return text;
  const { message } = recordOrEmpty(JSON.parse(text));
  throw new Error(String(message));
}

interface Surroundings {
  readonly folder: string;
  readonly upstreams: { readonly ports: ReadonlyMap<string, number> };
  readonly entries: Entries;
  readonly problems: string[];
}

async function optionsFor(
  config: ConfigSource,
  given: GatewayOptions,
  { folder, upstreams, entries, problems }: Surroundings,
) {
  const document = join(folder, 'kong.json');
  writeFileSync(document, JSON.stringify(documentUnderTest(config, upstreams.ports)));
  // An empty file of its own: what lies in the folder of the tests, or on the machine, is not meant.
  const conf = join(folder, 'holdfast.conf');
  writeFileSync(conf, '');
  const { settings } = loadSettings({
    conf,
    environment: {},
    overrides: {
      proxy_access_log: 'off',
      status_access_log: 'off',
      ...given.settings,
      role: 'data_plane',
      prefix: folder,
      proxy_listen: '127.0.0.1:0',
      status_listen: '127.0.0.1:0',
      declarative_config: document,
    },
  });
  const plugins = await choosePlugins(settings, async () => dataPlanePlugins);
  const options = await dataPlaneOptions(
    settings,
    createLog('warn', () => {}),
    plugins,
  );
  return {
    ...options,
    secrets: { ...options.secrets, variables: given.environment ?? {} },
    log: (level: string, message: string) => {
      if (level === 'warn' || level === 'error') problems.push(message);
    },
    output: (_to: string, line: string) => entries.read(line),
  };
}

/** Log entries as they come, and who waits for them. */
class Entries {
  readonly #all: Readonly<Row>[] = [];
  readonly #waiting = new Set<() => void>();

  /** Takes a line of the data plane's output for an entry, where it is one. */
  read(line: string): void {
    let entry: unknown;
    try {
      entry = JSON.parse(line);
    } catch {
      return;
    }
    if (!isRecord(entry) || !isRecord(entry.request)) return;
    this.#all.push(entry);
    for (const look of this.#waiting) look();
  }

  atLeast(count: number): Promise<readonly Readonly<Row>[]> {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(late);
        this.#waiting.delete(look);
      };
      const look = () => {
        if (this.#all.length < count) return;
        done();
        resolve([...this.#all]);
      };
      const late = setTimeout(() => {
        done();
        reject(new Error(`${count} log entries were waited for, ${this.#all.length} are there`));
      }, PATIENCE);
      this.#waiting.add(look);
      look();
    });
  }
}
