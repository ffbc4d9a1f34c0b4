import { isIP } from 'node:net';
import { AccessLog, accessLogFile } from '../access-log/access-log.ts';
import type { Log } from '../instance/log.ts';
import { bindFailure } from '../listeners/bind-failure.ts';
import { ConnectionCounts } from '../listeners/connection-counts.ts';
import { type HttpListener, listen } from '../listeners/http-listener.ts';
import { loadListenerPair } from '../listeners/listener-pair.ts';
import type { PemPair } from '../pki/certificate.ts';
import type { ListenAddress } from '../settings/addresses.ts';
import type { Settings } from '../settings/properties.ts';
import { StatusApi, type StatusSources } from './api.ts';

/** The listeners of a control plane's Status API. */
export interface StatusListeners {
  /** As bound; none with `status_listen = off`. */
  readonly addresses: readonly ListenAddress[];
  /** See `HttpListener`. */
  renew(tls: PemPair): void;
  /** Says from now on that this control plane takes nothing new; it still answers. */
  drain(): void;
  close(): Promise<void>;
}

/**
 * Serves the Status API of a control plane on `status_listen`. In role `traditional` that is the data plane's, and there is none here.
 * Throws, naming the setting, when an address cannot be bound.
 */
export async function startStatus(
  settings: Settings,
  sources: Omit<StatusSources, 'names'>,
  log: Log,
): Promise<StatusListeners> {
  const wanted = settings.role === 'control_plane' ? settings.status_listen : [];
  const api = new StatusApi({ ...sources, names: ownNames(settings) });
  const { status_access_log: target } = settings;
  const accessLog =
    wanted.length === 0 || target === 'off' ? null : new AccessLog(accessLogFile(target, settings), log);
  // Not counted: `GET /status` tells of the Admin API's connections.
  const counts = new ConnectionCounts();
  const listeners: HttpListener[] = [];
  const addresses: ListenAddress[] = [];
  const close = async () => {
    await Promise.all(listeners.map((listener) => listener.close(0)));
    await accessLog?.close();
  };
  try {
    for (const address of wanted) {
      const pair = address.tls ? loadListenerPair(settings, 'status_listen') : undefined;
      const listener = await listen(api, address, counts, pair, { accessLog }).catch((error) => {
        throw bindFailure('status_listen', address, error);
      });
      listeners.push(listener);
      addresses.push({ host: listener.host, port: listener.port, tls: address.tls, http2: false });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    addresses,
    renew(tls) {
      for (const listener of listeners) listener.renew(tls);
    },
    drain: () => api.drain(),
    close,
  };
}

function ownNames({ status_allowed_hosts: allowed, status_listen: listeners }: Settings): ReadonlySet<string> {
  const names = [...allowed, ...listeners.map(({ host }) => host).filter((host) => isIP(host) === 0)];
  return new Set(names.map((name) => name.toLowerCase()));
}
