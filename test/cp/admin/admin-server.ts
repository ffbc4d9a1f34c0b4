import { sharedChallenges } from '../../../cp/acme/challenges.ts';
import { AcmeOrders } from '../../../cp/acme/orders.ts';
import { createAdminApi } from '../../../cp/admin/app.ts';
import { Authors } from '../../../cp/admin/authors.ts';
import type { ClusterView } from '../../../cp/admin/cluster/cluster-view.ts';
import { configLoader } from '../../../cp/declarative/loader.ts';
import { BrowserGuard } from '../../../cp/listeners/browser-guard.ts';
import { ConnectionCounts } from '../../../cp/listeners/connection-counts.ts';
import { listen } from '../../../cp/listeners/http-listener.ts';
import { controlPlaneMetrics } from '../../../cp/metrics/metrics.ts';
import { loadSettings } from '../../../cp/settings/load.ts';
import { openStore, type StoreSettings } from '../../../cp/store/open.ts';
import { readOnly } from '../../../cp/store/read-only.ts';
import { schemasFor } from '../../../cp/store/schemas.ts';
import type { Store } from '../../../cp/store/store.ts';
import type { RouterFlavor } from '../../../shared/entities/registry.ts';

export interface AdminServer {
  readonly url: string;
  readonly store: Store;
  /** What the API logged, oldest first. */
  readonly log: string[];
  readonly close: () => Promise<void>;
  /** One request; `json` and `form` say how the body is sent. */
  send(method: string, path: string, body?: SentBody): Promise<Answer>;
}

const NODE_ID = '3a7c1f0e-7f0b-4d4c-9b0a-0a2d6f8f2f11';

type SentBody = { readonly json: unknown } | { readonly form: string } | RequestInit;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; empty when it is no JSON object. */
  readonly body: Json;
  /** `data` of a page, empty otherwise. */
  readonly rows: readonly Json[];
}

export type Json = { readonly [member: string]: unknown };

interface AdminServerOptions {
  /** Settings as environment variables. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly cluster?: ClusterView;
  readonly routerFlavor?: RouterFlavor;
  /** Names of the plugins that can be configured; absent: all. */
  readonly plugins?: ReadonlySet<string>;
  /** Whether plugins in Lua are taken; absent: yes. */
  readonly luaPlugins?: boolean;
  /** What becomes of documents that are large. */
  readonly documents?: Parameters<typeof configLoader>[3];
}

/** An Admin API on a socket over a store opened by these settings, the database brought up to date first. */
export async function startAdmin(settings: StoreSettings, options: AdminServerOptions = {}): Promise<AdminServer> {
  const { routerFlavor = 'traditional_compatible' } = options;
  const schemas = schemasFor(routerFlavor, options.plugins ?? null, options.luaPlugins);
  const store = await openStore(settings, { migrate: true, schemas });
  const log: string[] = [];
  const connections = new ConnectionCounts();
  const environment = { HOLDFAST_ROUTER_FLAVOR: routerFlavor, ...options.environment };
  const { settings: all } = loadSettings({ environment });
  const write = (level: string, message: string) => log.push(`${level}: ${message}`);
  const app = createAdminApi({
    store: all.database === 'off' ? readOnly(store) : store,
    acme: new AcmeOrders({
      store,
      challenges: sharedChallenges(store.records, NODE_ID),
      trust: { publicCas: true, certificates: [] },
      log: write,
    }),
    node: { id: NODE_ID, hostname: 'cp.test', version: '0.0.0' },
    settings: all,
    cluster: options.cluster ?? null,
    config: configLoader(store, schemas, undefined, options.documents),
    releases: null,
    events: null,
    connections,
    plugins: options.plugins ?? null,
    signingKeys: null,
    metrics: () =>
      controlPlaneMetrics({
        nodeId: NODE_ID,
        settings: all,
        store,
        cluster: null,
        connections,
        eventLoop: null,
        certificates: () => [],
        localStatus: () => null,
      }),
    browsers: new BrowserGuard(all, write),
    authors: new Authors(all),
    log: write,
  });
  const listener = await listen(app, { host: '127.0.0.1', port: 0, tls: false, http2: false }, connections);
  const url = `http://127.0.0.1:${listener.port}`;
  return {
    url,
    store,
    log,
    send: (method, path, body) => send(`${url}${path}`, method, body),
    async close() {
      await listener.close();
      await store.close();
    },
  };
}

async function send(url: string, method: string, sent: SentBody = {}): Promise<Answer> {
  const response = await fetch(url, { method, redirect: 'manual', ...initOf(sent) });
  const text = await response.text();
  const body = parse(text);
  return { status: response.status, headers: response.headers, text, body, rows: list(body.data) };
}

function initOf(sent: SentBody): RequestInit {
  if ('json' in sent) {
    return { body: JSON.stringify(sent.json), headers: { 'content-type': 'application/json' } };
  }
  if ('form' in sent) {
    return { body: sent.form, headers: { 'content-type': 'application/x-www-form-urlencoded' } };
  }
  return sent;
}

function parse(text: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isRecord) : []);

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
