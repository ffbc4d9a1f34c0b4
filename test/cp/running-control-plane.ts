import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type ControlPlane, startControlPlane } from '../../cp/control-plane.ts';
import { createLog } from '../../cp/instance/log.ts';
import { ensureSelfSignedPair } from '../../cp/listeners/listener-pair.ts';
import { ensureClusterFiles } from '../../cp/pki/gen-cert.ts';
import { loadSettings } from '../../cp/settings/load.ts';
import type { Settings } from '../../cp/settings/properties.ts';
import { freshPrefix } from '../embedded-database.ts';

/** A whole control plane in this process, over an embedded database, every listener on a free port. */
export interface RunningControlPlane {
  readonly plane: ControlPlane;
  readonly settings: Settings;
  /** Base URLs at 127.0.0.1. */
  readonly admin: string;
  readonly ui: string;
  /** Of the Status API, where `status_listen` is set. */
  readonly status: string;
  /** Lines as they would be printed, from `info` on. */
  readonly log: readonly string[];
  stop(): Promise<void>;
}

export const NODE_ID = '4f8b1f0e-7f0b-4d4c-9b0a-0a2d6f8f2f22';

/** `id`: of this control plane, where several are on one database. */
export async function runControlPlane(
  given: Readonly<Record<string, string>> = {},
  id = NODE_ID,
): Promise<RunningControlPlane> {
  const prefix = await freshPrefix('migrated');
  await ensureClusterFiles(prefix);
  const file = (name: string) => join(prefix, name);
  const wanted = {
    role: 'control_plane',
    prefix,
    log_level: 'info',
    admin_listen: '127.0.0.1:0',
    admin_gui_listen: '127.0.0.1:0',
    cluster_listen: '127.0.0.1:0',
    cluster_telemetry_listen: 'off',
    cluster_cert: file('cluster.crt'),
    cluster_cert_key: file('cluster.key'),
    bundle_signing_key: file('bundle-signing.key'),
    bundle_trusted_keys: file('bundle-keys.json'),
    ...given,
  };
  const environment = Object.fromEntries(
    Object.entries(wanted).map(([name, value]) => [`HOLDFAST_${name.toUpperCase()}`, value]),
  );
  const { settings } = loadSettings({ environment });
  await ensureSelfSignedPair(settings);
  const log: string[] = [];
  const plane = await startControlPlane(
    settings,
    id,
    createLog(settings.log_level, (line) => log.push(line)),
  );
  return {
    plane,
    settings,
    admin: `http://127.0.0.1:${plane.admin[0]?.port}`,
    ui: `http://127.0.0.1:${plane.ui[0]?.port}`,
    status: `http://127.0.0.1:${plane.status[0]?.port}`,
    log,
    async stop() {
      await plane.stop();
      rmSync(prefix, { recursive: true, force: true });
    },
  };
}
