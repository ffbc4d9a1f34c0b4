import { X509Certificate } from 'node:crypto';
import { join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Row } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { fileProblems } from '../edge/check-file.ts';
import { overEdited, overwritten } from '../edge/over-edited.ts';
import { controlPlaneProblems } from '../edge/seen-from-cloudflare.ts';
import {
  type Compatibility,
  type EdgeFacts,
  factsIn,
  readWranglerFile,
  WORKER_FOLDER,
  WRANGLER_FILE,
  wranglerConfig,
  writeWranglerFile,
} from '../edge/wrangler-file.ts';
import { createLog } from '../instance/log.ts';
import { VERSION } from '../instance/version.ts';
import { loadSigningKey, loadTrustedKeys } from '../pki/cluster-tls.ts';
import { PkiError } from '../pki/error.ts';
import { clusterFiles } from '../pki/gen-cert.ts';
import { certificatesOf, readPem } from '../pki/pem.ts';
import { namesOf } from '../pki/public-pair.ts';
import type { Settings } from '../settings/properties.ts';
import { type Command, CommandError, type Invocation, settingsFor, unknownAction } from './command.ts';
import { dataPlaneOptions } from './data-plane-options.ts';
import { type ChosenPlugins, choosePlugins, type ReadDataPlanePlugins } from './enabled-plugins.ts';

type Options = Awaited<ReturnType<typeof dataPlaneOptions>>;
/** An isolate's memory is not a box's. */
type EdgeOptions = Omit<Options, 'proxy'> & { readonly proxy: Omit<Options['proxy'], 'memCacheSize'> };

/** What `cp/cli.ts` hands in from the data plane's side. */
interface EdgeHost {
  readonly plugins: ReadDataPlanePlugins;
  /** Bundles the Worker with these plugins into a folder; resolves with the files' paths. */
  write(choice: ChosenPlugins['choice'], folder: string): Promise<readonly string[]>;
  /** The Worker's `SETTINGS` on Cloudflare. */
  settings(options: EdgeOptions, nodeId: string): Promise<object>;
  compatibility(): Promise<Compatibility>;
}

/** Milliseconds between an isolate's questions for newer config. */
const NEWS_INTERVAL = 5_000;
const DEFAULT_FOLDER = 'edge';

/** A data plane on Cloudflare's network, from the settings of its control plane. */
export function edgeCommand(host: EdgeHost): Command {
  return {
    summary: 'a data plane on Cloudflare: init, check',
    forms: {
      'init [DIR]': `write the Worker and its ${WRANGLER_FILE}, or write them anew: what was told before is kept (default: ./${DEFAULT_FOLDER})`,
      'check [DIR]': 'say what is missing or wrong, and whether Cloudflare can reach the control plane',
    },
    options: {
      'control-plane': {
        takes: 'URLS',
        text: 'init: https://host:port of cluster_listen, several by comma (default: the first name of cluster_server_cert)',
      },
      telemetry: {
        takes: 'URLS',
        text: 'init: https://host:port of cluster_telemetry_listen, to be told what becomes of requests (default: nobody is)',
      },
      name: { takes: 'NAME', text: 'init: of the Worker (default: holdfast)' },
      route: {
        takes: 'PATTERNS',
        text: 'init: as in api.example.com/*, several by comma; without a path a custom domain',
      },
      kv: { takes: 'ID', text: "init: of the KV namespace, as 'wrangler kv namespace create' tells it" },
      certificate: { takes: 'ID', text: "init: of the client certificate, as 'wrangler cert upload' tells it" },
      'status-path': {
        takes: 'PATH',
        text: 'init: where the Status API is read with the secret STATUS_TOKEN (default: nowhere)',
      },
      cert: {
        takes: 'FILE',
        text: 'check: the client certificate that is uploaded, to have the control plane look at it',
      },
      key: { takes: 'FILE', text: 'check: its key' },
    },
    examples: [
      'holdfast edge init --control-plane https://edge.cp.example.com:8005 --route "api.example.com/*"',
      'holdfast edge init --kv 0f2ac74b498b48028cb68387c421e279 --certificate 99f5fef1-6cc1-46b8-bd79-44a0d5082b8d',
      'holdfast edge check --cert edge.crt --key edge.key',
    ],
    async run(invocation) {
      const [action = '', folder = DEFAULT_FOLDER] = invocation.words;
      try {
        if (action === 'init') await init(invocation, resolve(folder), host);
        else if (action === 'check') await check(invocation, resolve(folder));
        else throw unknownAction('edge', ['init', 'check'], action);
      } catch (error) {
        throw error instanceof PkiError ? new CommandError(error.message) : error;
      }
    },
  };
}

async function init(invocation: Invocation, folder: string, host: EdgeHost): Promise<void> {
  const { settings } = settingsFor(invocation);
  const before = readWranglerFile(folder);
  const facts = given(invocation, factsIn(before), settings);
  const trusted = await trustedKeysOf(settings);
  const plugins = await choosePlugins(settings, host.plugins);
  const worker = await host.write(plugins.choice, join(folder, WORKER_FOLDER));
  const options = await edgeOptions(settings, facts, trusted, plugins);
  const made = await host.settings(options, facts.node);
  const { controlPlanes, telemetry } = facts;
  const edge = {
    controlPlaneOrigins: controlPlanes,
    controlPlanes: controlPlanes.length,
    ...(telemetry.length > 0 && { telemetry: { endpoints: telemetry.length, origins: telemetry } }),
  };
  const encrypted = settings.data_plane_config_cache_mode === 'encrypted';
  const config = wranglerConfig(
    facts,
    {
      ...made,
      ...edge,
      cacheMode: settings.data_plane_config_cache_mode,
      ...(encrypted && { cacheKey: '{vault://env/cache-key}' }),
      status: { allowedHosts: [], loopback: false, ...(facts.statusPath !== null && { path: facts.statusPath }) },
    },
    await host.compatibility(),
  );
  // As the file has it: no undefined members.
  const next: Row = JSON.parse(JSON.stringify(overEdited(before, config)));
  const changed = overwritten(before, next);
  const file = writeWranglerFile(folder, next);
  process.stdout.write(
    `made:\n${[file, ...worker].map((path) => `  ${path}\n`).join('')}` +
      (changed.length === 0 ? '' : `of ${WRANGLER_FILE} is now otherwise than it was: ${changed.join(', ')}\n`) +
      nextSteps(facts, folder, settings),
  );
}

/** What the file says, and over it what the command line does. Throws what cannot be. */
function given({ options }: Invocation, kept: EdgeFacts, settings: Settings): EdgeFacts {
  const text = (name: string): string | null => {
    const value = options[name];
    return typeof value === 'string' ? value : null;
  };
  const list = (name: string): string[] | null =>
    text(name)
      ?.split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '') ?? null;
  const controlPlanes =
    list('control-plane') ?? (kept.controlPlanes.length > 0 ? kept.controlPlanes : ownOrigin(settings));
  if (controlPlanes.length === 0) {
    throw new CommandError(
      'edge init needs --control-plane: https://host:port of cluster_listen, as Cloudflare reaches it',
      2,
    );
  }
  const telemetry = list('telemetry') ?? kept.telemetry;
  const wrong = [...controlPlanes, ...telemetry].find(
    (origin) => URL.parse(origin)?.origin !== origin || !origin.startsWith('https:'),
  );
  if (wrong !== undefined) {
    throw new CommandError(`--control-plane and --telemetry take https://host:port without a path, not '${wrong}'`, 2);
  }
  const statusPath = text('status-path') ?? kept.statusPath;
  if (statusPath !== null && !/^(?:\/[\w.~-]+)+$/.test(statusPath)) {
    throw new CommandError(`--status-path takes a path such as /-/holdfast, not '${statusPath}'`, 2);
  }
  const name = text('name') ?? kept.name;
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) {
    throw new CommandError(`--name takes lower-case letters, digits and dashes, not '${name}'`, 2);
  }
  return {
    ...kept,
    name,
    controlPlanes,
    telemetry,
    routes: list('route') ?? kept.routes,
    kv: text('kv') ?? kept.kv,
    certificate: text('certificate') ?? kept.certificate,
    statusPath,
  };
}

/** Where this control plane shows a certificate of a public CA. */
function ownOrigin({ cluster_server_cert: path, cluster_listen: listen }: Settings): string[] {
  const port = listen[0]?.port;
  if (path === null || port === undefined) return [];
  const [leaf = ''] = certificatesOf(readPem(path, 'cluster_server_cert'));
  const name = namesOf(new X509Certificate(leaf)).find((one) => !one.includes('*'));
  return name === undefined ? [] : [`https://${name}:${port}`];
}

async function trustedKeysOf({ bundle_trusted_keys: path, bundle_signing_key: signing, prefix }: Settings) {
  if (path !== null) return loadTrustedKeys(path);
  const { cluster, publicKey } = await loadSigningKey(signing ?? clusterFiles(resolve(prefix)).signingKey);
  return { cluster, keys: [publicKey] };
}

/** Of a data plane that has neither listeners nor files. */
async function edgeOptions(
  settings: Settings,
  { name }: EdgeFacts,
  trustedKeys: Awaited<ReturnType<typeof trustedKeysOf>>,
  plugins: ChosenPlugins,
): Promise<EdgeOptions> {
  const options = await dataPlaneOptions(
    {
      ...settings,
      role: 'data_plane',
      proxy_listen: [],
      status_listen: [],
      stream_listen: [],
      proxy_access_log: 'off',
      status_access_log: 'off',
      cluster_cert: null,
      cluster_cert_key: null,
      bundle_trusted_keys: null,
      declarative_config: null,
      cluster_fallback_config_import: false,
      data_plane_config_cache_mode: 'unencrypted',
    },
    createLog(settings.log_level),
    plugins,
  );
  const { memCacheSize: _box, ...proxy } = options.proxy;
  return { ...options, hostname: name, trustedKeys, newsInterval: NEWS_INTERVAL, proxy };
}

function nextSteps(facts: EdgeFacts, folder: string, settings: Settings): string {
  const { name, kv, certificate, statusPath } = facts;
  const wrangler = `npx wrangler --config ${join(folder, WRANGLER_FILE)}`;
  const again = `npx --no holdfast edge init ${folder}`;
  const steps = [
    ...(kv === null ? [`npx wrangler kv namespace create ${name}`, `${again} --kv ID`] : []),
    ...(certificate === null
      ? [
          `npx wrangler cert upload mtls-certificate --cert edge.crt --key edge.key --name ${name}`,
          `${again} --certificate ID`,
        ]
      : []),
    ...(statusPath === null ? [] : [`openssl rand -hex 32 | ${wrangler} secret put STATUS_TOKEN`]),
    ...(settings.data_plane_config_cache_mode === 'encrypted'
      ? [`openssl rand -base64 32 | ${wrangler} secret put ${settings.vault_env_prefix ?? ''}CACHE_KEY`]
      : []),
    `npx --no holdfast edge check ${folder}`,
    `${wrangler} deploy`,
  ];
  return `what only the owner of the account can do (ID is what the command before tells):\n${steps.map((step) => `  ${step}\n`).join('')}`;
}

async function check({ options, ...invocation }: Invocation, folder: string): Promise<void> {
  const config = readWranglerFile(folder);
  if (config === null)
    throw new CommandError(`there is no ${join(folder, WRANGLER_FILE)}: make it by 'holdfast edge init'`);
  const { settings } = settingsFor(invocation);
  const { cluster, keys } = await trustedKeysOf(settings);
  const problems = fileProblems(folder, config, { cluster, keys: keys.map(({ kid }) => kid), version: VERSION });
  const pair = pairOf(options);
  const { controlPlanes, telemetry } = factsIn(config);
  for (const origin of [...controlPlanes, ...telemetry])
    problems.push(...(await controlPlaneProblems(origin, { pair })));
  if (problems.length > 0) {
    throw new CommandError(
      `${join(folder, WRANGLER_FILE)} is not ready:\n${problems.map((one) => `  - ${one}`).join('\n')}`,
    );
  }
  const seen = pair === null ? ' (give --cert and --key to have it look at the client certificate, too)' : '';
  process.stdout.write(`${join(folder, WRANGLER_FILE)} is ready, and Cloudflare can reach the control plane${seen}\n`);
}

function pairOf({ cert, key }: Invocation['options']): { cert: string; key: string } | null {
  if (typeof cert !== 'string' && typeof key !== 'string') return null;
  if (typeof cert !== 'string' || typeof key !== 'string') throw new CommandError('--cert and --key go together', 2);
  const pair = { cert: readPem(cert, '--cert'), key: readPem(key, '--key') };
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new CommandError(`--cert and --key are no certificate and its key (${messageOf(error)})`);
  }
  return pair;
}
