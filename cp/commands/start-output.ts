import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { KONG_VERSION } from '../../shared/version.ts';
import type { ControlPlane } from '../control-plane.ts';
import { dblessFolder } from '../declarative/dbless-folder.ts';
import { VERSION } from '../instance/version.ts';
import { type BoundAddress, formatAddress, localUrl, reachable } from '../settings/addresses.ts';
import type { Settings } from '../settings/properties.ts';

/** Where a data plane listens. */
export interface DataPlaneAddresses {
  readonly proxyAddresses: readonly BoundAddress[];
  readonly streamAddresses?: readonly BoundAddress[];
  readonly statusAddresses: readonly BoundAddress[];
}

/** Said at once: a first start makes the database, which takes its time. */
export function startingBlock(settings: Settings): string {
  const folder = resolve(settings.prefix);
  const head = `Holdfast ${VERSION} is starting: role ${settings.role}, files in ${folder}\n`;
  if (settings.role === 'data_plane' || settings.database === 'postgres') return head;
  const dbless = settings.database === 'off';
  if (existsSync(join(dbless ? dblessFolder(folder) : folder, 'pgdata'))) return head;
  const what = dbless ? 'the place for the config' : 'the embedded database';
  return `${head}Making ${what} (first start only, some seconds) …\n`;
}

/** What a person needs to go on: addresses and the next thing to try. */
export function readyBlock(
  settings: Settings,
  controlPlane: ControlPlane | null,
  dataPlane: DataPlaneAddresses | null,
): string {
  const rows = addressRows(settings, controlPlane, dataPlane);
  if (controlPlane?.cluster) rows.push(['Data planes', `https://${formatAddress(controlPlane.cluster)} (mutual TLS)`]);
  if (settings.role === 'data_plane') {
    const alone = settings.cluster_cert === null;
    rows.push(['Control plane', alone ? 'none' : settings.cluster_control_plane.map(formatAddress).join(', ')]);
  }
  rows.push(['Files', resolve(settings.prefix)]);
  const database = settings.role === 'data_plane' ? '' : `, database ${settings.database}`;
  const head = `Holdfast ${VERSION} (Kong Admin API ${KONG_VERSION}) is ready: role ${settings.role}${database}`;
  return `${head}\n${addressTable(rows)}${firstSteps(settings, controlPlane, dataPlane)}`;
}

/** Names and URLs of what people reach. */
export function addressRows(
  settings: Settings,
  controlPlane: ControlPlane | null,
  dataPlane: DataPlaneAddresses | null,
): [name: string, value: string][] {
  const rows: [string, string][] = [];
  for (const address of controlPlane?.admin ?? []) rows.push(['Admin API', localUrl(address)]);
  for (const address of controlPlane?.ui ?? []) {
    const path = settings.admin_gui_path === '/' ? '' : settings.admin_gui_path;
    rows.push(['Manager', `${localUrl(address)}${path}`]);
  }
  for (const address of dataPlane?.proxyAddresses ?? []) rows.push(['Proxy', localUrl(address)]);
  for (const address of dataPlane?.streamAddresses ?? []) rows.push(['Stream', formatAddress(reachable(address))]);
  for (const address of dataPlane?.statusAddresses ?? controlPlane?.status ?? [])
    rows.push(['Status API', localUrl(address)]);
  const { development } = developmentNote(controlPlane);
  if (development !== undefined) rows.push(['Dev link', `${development} (holdfast edge init --dev)`]);
  return rows;
}

/** What the note of an instance says of its development link. */
export function developmentNote(controlPlane: ControlPlane | null): { readonly development?: string } {
  const address = controlPlane?.development ?? null;
  return address === null ? {} : { development: localUrl({ ...address, tls: false }) };
}

export function addressTable(rows: readonly (readonly [name: string, value: string])[]): string {
  return rows.map(([name, value]) => `  ${name.padEnd(14)}${value}\n`).join('');
}

function firstSteps(
  { database }: Settings,
  controlPlane: ControlPlane | null,
  dataPlane: DataPlaneAddresses | null,
): string {
  const [admin] = controlPlane?.admin ?? [];
  const [proxy] = dataPlane?.proxyAddresses ?? [];
  const [status] = dataPlane?.statusAddresses ?? [];
  if (!admin) return '';
  if (!proxy || !status) return `\nTry:\n  curl -s ${localUrl(admin)}/clustering/data-planes\n`;
  if (database === 'off') {
    const config = `curl -s ${localUrl(admin)}/config`;
    return `\nTry (a change reaches the proxy within a second):\n  ${config} -F config=@kong.yml\n  ${config}\n`;
  }
  return [
    '',
    'Try (a change reaches the proxy within a second):',
    `  curl -s ${localUrl(admin)}/services -d name=hello -d url=${localUrl(status)}`,
    `  curl -s ${localUrl(admin)}/services/hello/routes -d name=hello -d 'paths[]=/hello'`,
    `  curl -i ${localUrl(proxy)}/hello/status`,
    '',
  ].join('\n');
}
