import { X509Certificate } from 'node:crypto';
import { join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { certificatesOf } from '../../shared/pem.ts';
import type { Row } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { fileProblems } from '../edge/check-file.ts';
import {
  DEVELOPMENT_FILE,
  DEVELOPMENT_NEWS_INTERVAL,
  developmentConfig,
  isLocalOrigin,
  localControlPlane,
} from '../edge/development.ts';
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
import { readPem } from '../pki/pem.ts';
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
      'init [DIR] --dev': `write the Worker and a ${DEVELOPMENT_FILE}, for 'wrangler dev' with a control plane on this machine`,
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
      dev: {
        text: 'init: for development on this machine, over cluster_dev_listen: without account, TLS or certificates',
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
      'holdfast edge init --dev',
      'holdfast edge check --cert edge.crt --key edge.key',
    ],
    async run(invocation) {
      const [action = '', folder = DEFAULT_FOLDER] = invocation.words;
      try {
        if (action === 'init' && invocation.options.dev === true)
          await initDevelopment(invocation, resolve(folder), host);
        else if (action === 'init') await init(invocation, resolve(folder), host);
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
  const kept = factsIn(before);
  const known = kept.controlPlanes.length > 0 ? kept.controlPlanes : ownOrigin(settings);
  const facts = given(invocation, { ...kept, controlPlanes: known }, 'https:');
  if (facts.controlPlanes.length === 0) {
    throw new CommandError(
      'edge init needs --control-plane: https://host:port of cluster_listen, as Cloudflare reaches it',
      2,
    );
  }
  const { worker, made } = await bundled(folder, facts, settings, NEWS_INTERVAL, host);
  const { telemetry } = facts;
  const encrypted = settings.data_plane_config_cache_mode === 'encrypted';
  const config = wranglerConfig(
    facts,
    {
      ...made,
      ...(telemetry.length > 0 && { telemetry: { endpoints: telemetry.length, origins: telemetry } }),
      cacheMode: settings.data_plane_config_cache_mode,
      ...(encrypted && { cacheKey: '{vault://env/cache-key}' }),
    },
    await host.compatibility(),
  );
  write(folder, WRANGLER_FILE, { before, config, worker }, nextSteps(facts, folder, settings));
}

async function initDevelopment(invocation: Invocation, folder: string, host: EdgeHost): Promise<void> {
  const { settings, origin } = localControlPlane(settingsFor(invocation).settings);
  const before = readWranglerFile(folder, DEVELOPMENT_FILE);
  const kept = factsIn(before);
  // Where it runs now is more than where it ran.
  const known = origin === null ? kept.controlPlanes : [origin];
  const facts = given(invocation, { ...kept, controlPlanes: known }, 'http:');
  if (facts.controlPlanes.length === 0) {
    throw new CommandError(
      `there is no control plane to link with at ${resolve(settings.prefix)}: start 'holdfast dev --wrangler', or one with cluster_dev_listen = 127.0.0.1:8007`,
    );
  }
  const { worker, made } = await bundled(folder, facts, settings, DEVELOPMENT_NEWS_INTERVAL, host);
  const config = developmentConfig(facts, { ...made, cacheMode: 'unencrypted' }, await host.compatibility());
  const start = `npx wrangler dev --config ${join(folder, DEVELOPMENT_FILE)}`;
  const secrets =
    facts.statusPath === null ? [] : [`echo "STATUS_TOKEN=$(openssl rand -hex 32)" >> ${join(folder, '.dev.vars')}`];
  const steps = [...secrets, start].map((step) => `  ${step}\n`).join('');
  write(folder, DEVELOPMENT_FILE, { before, config, worker }, `then, while the control plane runs:\n${steps}`);
}

/** The Worker, and its settings but for what only Cloudflare or only development has. */
async function bundled(folder: string, facts: EdgeFacts, settings: Settings, newsInterval: number, host: EdgeHost) {
  const trusted = await trustedKeysOf(settings);
  const plugins = await choosePlugins(settings, host.plugins);
  const worker = await host.write(plugins.choice, join(folder, WORKER_FOLDER));
  const options = await edgeOptions(settings, facts, trusted, plugins);
  const { controlPlanes, statusPath } = facts;
  const made = {
    ...(await host.settings({ ...options, newsInterval }, facts.node)),
    controlPlaneOrigins: controlPlanes,
    controlPlanes: controlPlanes.length,
    status: { allowedHosts: [], loopback: false, ...(statusPath !== null && { path: statusPath }) },
  };
  return { worker, made };
}

interface Written {
  readonly before: Row | null;
  readonly config: Row;
  /** Paths of the Worker's files. */
  readonly worker: readonly string[];
}

/** Writes a configuration over what was edited of it, and says what was made and what comes `next`. */
function write(folder: string, name: string, { before, config, worker }: Written, next: string): void {
  // As the file has it: no undefined members.
  const whole: Row = JSON.parse(JSON.stringify(overEdited(before, config)));
  const changed = overwritten(before, whole);
  const file = writeWranglerFile(folder, whole, name);
  process.stdout.write(
    `made:\n${[file, ...worker].map((path) => `  ${path}\n`).join('')}` +
      (changed.length === 0 ? '' : `of ${name} is now otherwise than it was: ${changed.join(', ')}\n`) +
      next,
  );
}

/** What the file says, and over it what the command line does. Throws what cannot be. */
function given({ options }: Invocation, kept: EdgeFacts, protocol: 'https:' | 'http:'): EdgeFacts {
  const text = (name: string): string | null => {
    const value = options[name];
    return typeof value === 'string' ? value : null;
  };
  const list = (name: string): string[] | null =>
    text(name)
      ?.split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '') ?? null;
  const controlPlanes = list('control-plane') ?? kept.controlPlanes;
  const telemetry = list('telemetry') ?? kept.telemetry;
  const fits = protocol === 'https:' ? isSecureOrigin : isLocalOrigin;
  const wrong = [...controlPlanes, ...telemetry].find((origin) => !fits(origin));
  if (wrong !== undefined) {
    const wanted =
      protocol === 'https:'
        ? '--control-plane and --telemetry take https://host:port without a path'
        : 'with --dev, --control-plane takes http://127.0.0.1:port of cluster_dev_listen';
    throw new CommandError(`${wanted}, not '${wrong}'`, 2);
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

function isSecureOrigin(origin: string): boolean {
  return URL.parse(origin)?.origin === origin && origin.startsWith('https:');
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
      // Paths of people's requests leave one's own machines only where that is asked for.
      replay_sample: settings.replay_sample ?? 0,
      cluster_cert: null,
      cluster_cert_key: null,
      bundle_trusted_keys: null,
      declarative_config: null,
      declarative_config_string: null,
      cluster_fallback_config_import: false,
      data_plane_config_cache_mode: 'unencrypted',
    },
    createLog(settings.log_level),
    plugins,
  );
  const { memCacheSize: _box, ...proxy } = options.proxy;
  return { ...options, hostname: name, trustedKeys, proxy };
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
