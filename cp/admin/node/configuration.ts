import type { LogLevel } from '../../instance/log-levels.ts';
import type { ListenAddress } from '../../settings/addresses.ts';
import { properties, type Settings } from '../../settings/properties.ts';
import type { StreamListenAddress } from '../../settings/stream-listen.ts';

const MASK = '******';
const SECRETS = new Set(Object.entries(properties).flatMap(([name, { secret }]) => (secret ? [name] : [])));

/**
 * The settings as Kong shows its own in `GET /` → `configuration`: secrets masked, references to vaults as they were written, listeners both as text and taken
 * apart, the embedded database under the name of what it is to a client, `postgres`.
 */
export function describeConfiguration(settings: Settings, logLevel: LogLevel): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  const { references = {}, ...own } = settings;
  for (const [name, value] of Object.entries(own)) {
    shown[name] = SECRETS.has(name) && value !== null ? MASK : value;
  }
  for (const plane of ['admin', 'admin_gui', 'proxy', 'status'] as const) {
    const addresses = settings[`${plane}_listen`];
    shown[`${plane}_listen`] = addresses.length === 0 && plane === 'status' ? ['off'] : addresses.map(listenText);
    shown[`${plane}_listeners`] = addresses.map(listener);
  }
  for (const name of ['cluster_listen', 'cluster_telemetry_listen', 'cluster_dev_listen'] as const) {
    shown[name] = settings[name].map(listenText);
  }
  return {
    ...shown,
    cluster_control_plane: settings.cluster_control_plane.map(({ host, port }) => `${host}:${port}`).join(', '),
    ...references,
    // A PostgreSQL there is none of has no address; to clients the embedded database behaves as any other.
    ...(settings.database !== 'postgres' ? absent(settings, 'pg_') : {}),
    // What a role does not listen on is not there.
    ...(settings.role === 'control_plane' ? { proxy_listen: ['off'], proxy_listeners: [] } : {}),
    database: settings.database === 'off' ? 'off' : 'postgres',
    log_level: logLevel,
    plugins: ['bundled'],
    ...streams(settings),
    loaded_vaults: { env: true },
    portal: false,
    rbac: 'off',
    wasm: false,
  };
}

/** Kong shows `off` where there is none. */
function streams({ role, stream_listen: addresses }: Settings): Record<string, unknown> {
  if (role === 'control_plane' || addresses.length === 0) return { stream_listen: ['off'], stream_listeners: [] };
  const text = (address: StreamListenAddress): string => `${listenText(address)}${address.udp ? ' udp' : ''}`;
  return {
    stream_listen: addresses.map(text),
    stream_listeners: addresses.map((address) => {
      const { http2: _, deferred: __, ...shown } = listener(address);
      return { ...shown, listener: text(address), udp: address.udp };
    }),
  };
}

function absent(settings: Settings, prefix: string): Record<string, null> {
  return Object.fromEntries(Object.keys(settings).flatMap((name) => (name.startsWith(prefix) ? [[name, null]] : [])));
}

const hostText = (host: string): string => (host.includes(':') ? `[${host}]` : host);
const listenText = ({ host, port, tls, http2, proxyProtocol, dualStack }: ListenAddress): string =>
  `${hostText(host)}:${port}${tls ? ' ssl' : ''}${http2 ? ' http2' : ''}${proxyProtocol ? ' proxy_protocol' : ''}${dualStack ? ' ipv6only=off' : ''}`;

function listener(address: ListenAddress) {
  return {
    listener: listenText(address),
    ip: address.host,
    port: address.port,
    ssl: address.tls,
    http2: address.http2,
    proxy_protocol: address.proxyProtocol === true,
    deferred: false,
    bind: false,
    reuseport: false,
    'backlog=%d+': false,
  };
}
