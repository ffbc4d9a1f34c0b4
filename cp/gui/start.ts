import { resolve } from 'node:path';
import type { Log } from '../instance/log.ts';
import { VERSION } from '../instance/version.ts';
import { bindFailure } from '../listeners/bind-failure.ts';
import type { Arrival, BrowserGuard } from '../listeners/browser-guard.ts';
import { ConnectionCounts } from '../listeners/connection-counts.ts';
import { type HttpListener, listen } from '../listeners/http-listener.ts';
import { loadListenerPair } from '../listeners/listener-pair.ts';
import type { PemPair } from '../pki/certificate.ts';
import type { ListenAddress } from '../settings/addresses.ts';
import type { Settings } from '../settings/properties.ts';
import { createUi } from './app.ts';
import { openUiFolder, type UiFolder } from './files.ts';
import { ownUi } from './own-ui.ts';

/** The listeners of the web UI. */
export interface UiListeners {
  /** As bound; none with `admin_gui_listen = off`. */
  readonly addresses: readonly ListenAddress[];
  /** See `HttpListener`. */
  renew(tls: PemPair): void;
  close(drain?: number): Promise<void>;
}

/**
 * Serves the web UI of `admin_gui_dir`, or Holdfast's own, on `admin_gui_listen`. `admin` is where
 * the Admin API was bound; what `browsers` refuses is answered 403. Throws, naming the setting, when the folder holds no UI or an address cannot be bound.
 */
export async function startUi(
  settings: Settings,
  admin: readonly ListenAddress[],
  browsers: BrowserGuard,
  log: Log,
): Promise<UiListeners> {
  const listeners: HttpListener[] = [];
  const close = async (drain?: number) => {
    await Promise.all(listeners.map((listener) => listener.close(drain)));
  };
  const renew = (tls: PemPair) => {
    for (const listener of listeners) listener.renew(tls);
  };
  if (settings.admin_gui_listen.length === 0) return { addresses: [], renew, close };
  if (admin.length === 0) log('warn', 'admin_listen is off, so a web UI finds no Admin API to work with');

  const ui = createUi({
    files: await filesOf(settings, log),
    configuration: {
      path: settings.admin_gui_path,
      apiUrl: settings.admin_gui_api_url,
      apiPort: admin.find(({ tls }) => !tls)?.port ?? null,
      apiTlsPort: admin.find(({ tls }) => tls)?.port ?? null,
    },
    version: VERSION,
  });
  const fetch = (request: Request, arrival: Arrival): Response | Promise<Response> => {
    const verdict = browsers.judge(request, arrival);
    return verdict.kind === 'refused' ? new Response(`${verdict.reason}\n`, { status: 403 }) : ui(request);
  };
  // Not counted: `GET /status` tells of the Admin API's connections.
  const counts = new ConnectionCounts();
  const addresses: ListenAddress[] = [];
  try {
    for (const address of settings.admin_gui_listen) {
      const listener = await listen(
        { fetch },
        address,
        counts,
        address.tls ? loadListenerPair(settings, 'admin_gui_listen') : undefined,
      ).catch((error) => {
        throw bindFailure('admin_gui_listen', address, error);
      });
      listeners.push(listener);
      addresses.push({ host: listener.host, port: listener.port, tls: address.tls, http2: false });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { addresses, renew, close };
}

async function filesOf(settings: Settings, log: Log): Promise<UiFolder | (() => Promise<UiFolder>)> {
  const { admin_gui_dir: folder, admin_gui_path: path } = settings;
  const base = path === '/' ? '/' : `${path}/`;
  if (folder === null) {
    const open = ownUi(base);
    return () =>
      open().catch((error: Error) => {
        log('error', `the web UI cannot be bundled: ${error.message}`);
        throw error;
      });
  }
  return openUiFolder(resolve(folder), base).catch((error: Error) => {
    throw new Error(`admin_gui_dir: ${error.message}`);
  });
}
