import { devPrefix } from '../instance/dev-prefix.ts';
import { freePort } from '../listeners/free-port.ts';
import { loadSettings } from '../settings/load.ts';
import type { SettingName, Settings } from '../settings/properties.ts';
import type { Invocation } from './command.ts';

/** Settings that `dev` decides, whatever a file or the environment says of them: both planes here, linked with each other. */
const DECIDED = {
  role: 'traditional',
  cluster_telemetry_listen: 'off',
  cluster_telemetry_endpoint: '',
  cluster_telemetry_server_name: '',
  cluster_mtls: 'shared',
  cluster_cert: '',
  cluster_cert_key: '',
  cluster_ca_cert: '',
  cluster_server_cert: '',
  cluster_server_cert_key: '',
  cluster_server_name: '',
  cluster_ocsp: 'off',
  cluster_use_proxy: 'off',
  cluster_fallback_config_export: 'off',
  cluster_fallback_config_import: 'off',
  bundle_signing_key: '',
  bundle_trusted_keys: '',
  bundle_introduced_keys: '',
  // For who can listen for them; Miniflare's data plane cannot.
  stream_listen: 'off',
} as const satisfies Partial<Record<SettingName, string>>;

/** This machine alone, unless somebody says otherwise. */
const LOCAL_PROXY = '127.0.0.1:8000';

interface DevSettings {
  readonly settings: Settings;
  /** The person has said where requests are to be logged. */
  readonly ownAccessLog: boolean;
  readonly warnings: readonly string[];
}

/** Where a Worker under `wrangler dev` links, unless somebody says otherwise. */
const DEVELOPMENT_LINK = '127.0.0.1:8007';

/** The settings of `holdfast dev`, in a folder of its own inside the prefix. `file` (null: none) is the config. */
export async function devSettings(
  { conf, prefix, options: { wrangler } }: Invocation,
  file: string | null,
): Promise<DevSettings> {
  const decided = {
    ...DECIDED,
    cluster_listen: `127.0.0.1:${await freePort()}`,
    database: file === null ? 'embedded' : 'off',
    declarative_config: file ?? '',
    declarative_config_string: '',
    ...(prefix === undefined ? {} : { prefix }),
  };
  const load = (overrides: Partial<Record<SettingName, string>>) =>
    loadSettings({ conf, environment: process.env, overrides });
  const first = load(decided);
  const { settings, origins, warnings } = load({
    ...decided,
    prefix: devPrefix(first.settings.prefix),
    ...(!first.origins.has('proxy_listen') && { proxy_listen: LOCAL_PROXY }),
    ...(wrangler === true && !first.origins.has('cluster_dev_listen') && { cluster_dev_listen: DEVELOPMENT_LINK }),
    // The file is sent there when it changes.
    ...(first.settings.admin_listen.length === 0 && { admin_listen: '127.0.0.1:0' }),
  });
  const listeners = listenersOf(settings);
  return {
    settings: { ...settings, ...listeners.kept },
    ownAccessLog: origins.has('proxy_access_log'),
    warnings: [...warnings.filter((warning) => !warning.includes('(command line)')), ...listeners.warnings],
  };
}

/** The first listener without TLS of each kind: what Miniflare's data plane has. */
function listenersOf(settings: Settings) {
  const warnings: string[] = [];
  const only = (name: 'proxy_listen' | 'status_listen') => {
    const [plain, ...others] = settings[name].toSorted((one, other) => Number(one.tls) - Number(other.tls));
    if (others.length > 0 || plain?.tls === true) {
      warnings.push(`${name}: 'holdfast dev' has one listener of a kind, without TLS; the others are left out`);
    }
    return plain === undefined || plain.tls ? [] : [plain];
  };
  return { kept: { proxy_listen: only('proxy_listen'), status_listen: only('status_listen') }, warnings };
}
