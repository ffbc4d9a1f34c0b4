import { rm } from 'node:fs/promises';
import { dataPlaneOptions } from '../../../../cp/commands/data-plane-options.ts';
import { choosePlugins } from '../../../../cp/commands/enabled-plugins.ts';
import { startControlPlane } from '../../../../cp/control-plane.ts';
import { createLog } from '../../../../cp/instance/log.ts';
import { ensureSelfSignedPair } from '../../../../cp/listeners/listener-pair.ts';
import { ensureClusterFiles } from '../../../../cp/pki/gen-cert.ts';
import { localUrl, reachable } from '../../../../cp/settings/addresses.ts';
import { loadSettings } from '../../../../cp/settings/load.ts';
import type { DataPlane } from '../../../../edge-dp/hosts/options.ts';
import { dataPlanePlugins } from '../../../../edge-dp/hosts/plugins.ts';
import { admin, until } from '../../../e2e/processes.ts';
import { freshPrefix } from '../../../embedded-database.ts';
import type { StartHost } from '../../hosts.ts';
import { exchange } from './exchange.ts';

/** The whole product, as `holdfast start` puts it together: control plane, embedded database, data plane. */
export interface CaseGateway {
  /** The Admin API. */
  readonly admin: string;
  readonly ports: { readonly plain: number; readonly tls: number | null };
  /** The data plane's Status API. */
  readonly status: string;
  /** What both planes have said so far, `warn` and worse. */
  readonly log: readonly string[];
  /** Resolves when the data plane serves everything that was written before. */
  applied(): Promise<void>;
  /** From now on there is no control plane. */
  loseControlPlane(): Promise<void>;
  stop(): Promise<void>;
}

/** A host of the last settings that have an effect on cases; TLS where the host can. */
export async function startCaseGateway(
  start: StartHost,
  { tls, environment = {} }: { readonly tls: boolean; readonly environment?: Readonly<Record<string, string>> },
): Promise<CaseGateway> {
  const prefix = await freshPrefix('migrated');
  const { settings } = loadSettings({
    environment: {
      HOLDFAST_PREFIX: prefix,
      HOLDFAST_ADMIN_LISTEN: '127.0.0.1:0',
      HOLDFAST_ADMIN_GUI_LISTEN: 'off',
      HOLDFAST_CLUSTER_LISTEN: '127.0.0.1:0',
      HOLDFAST_CLUSTER_TELEMETRY_LISTEN: 'off',
      HOLDFAST_PROXY_LISTEN: tls ? '127.0.0.1:0, 127.0.0.1:0 ssl' : '127.0.0.1:0',
      HOLDFAST_STATUS_LISTEN: '127.0.0.1:0',
      HOLDFAST_NGINX_WORKER_PROCESSES: '1',
      HOLDFAST_ALLOW_DEBUG_HEADER: 'on',
      ...environment,
    },
  });
  const lines: string[] = [];
  const log = createLog('warn', (line) => void lines.push(line));
  await ensureSelfSignedPair(settings);
  await ensureClusterFiles(prefix);
  const plugins = await choosePlugins(settings, async () => dataPlanePlugins);
  const controlPlane = await startControlPlane(settings, crypto.randomUUID(), log);
  let dataPlane: DataPlane;
  try {
    const cluster = controlPlane.cluster === null ? [] : [reachable(controlPlane.cluster)];
    dataPlane = await start(await dataPlaneOptions({ ...settings, cluster_control_plane: cluster }, log, plugins));
  } catch (error) {
    await controlPlane.stop();
    throw error;
  }
  const [address] = controlPlane.admin;
  if (address === undefined) throw new Error('no Admin API');
  const adminUrl = localUrl(address);
  const port = (overTls: boolean): number | null =>
    dataPlane.proxyAddresses.find((each) => each.tls === overTls)?.port ?? null;
  const plain = port(false) ?? 0;
  let markers = 0;
  let lost: Promise<void> | null = null;
  const loseControlPlane = (): Promise<void> => (lost ??= controlPlane.stop());
  return {
    admin: adminUrl,
    ports: { plain, tls: port(true) },
    status: `http://127.0.0.1:${dataPlane.statusAddresses[0]?.port}`,
    log: lines,
    async applied() {
      // Changes arrive in the order they were written, so with this route's all of them are there.
      const marker = `applied-${++markers}.test`;
      await admin(`${adminUrl}/routes`, 'POST', { hosts: [marker] });
      const request = { method: 'GET', path: '/', headers: [['Host', marker]], body: null, tls: false } as const;
      const arrived = async (): Promise<boolean> => (await exchange(request, plain)).status === 503;
      await until(arrived, 'the cases’ configuration to arrive at the data plane').catch(async (error) => {
        const planes = JSON.stringify(await admin(`${adminUrl}/clustering/data-planes`));
        throw new Error(`${error.message}; the control plane says ${planes}; the log:\n${lines.join('')}`);
      });
    },
    loseControlPlane,
    async stop() {
      await dataPlane.stop(0);
      await loseControlPlane();
      await rm(prefix, { recursive: true, force: true });
    },
  };
}
