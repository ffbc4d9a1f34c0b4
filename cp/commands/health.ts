import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Row, recordOrEmpty } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { askInstance } from '../instance/ask.ts';
import { findInstance, findStopping, type Instance, notRunning } from '../instance/instance.ts';
import { datesNotice } from '../pki/certificate-dates.ts';
import { localUrl } from '../settings/addresses.ts';
import type { Settings } from '../settings/properties.ts';
import { type Command, CommandError, folderFor, type Invocation, settingsFor } from './command.ts';

/** Whether the instance of this prefix runs and its interfaces answer. */
export const health: Command = {
  summary: 'say whether the instance of this prefix runs and serves',
  examples: ['holdfast health', 'holdfast health --prefix /var/lib/holdfast'],
  run: askHealth,
};

async function askHealth(invocation: Invocation): Promise<void> {
  const folder = folderFor(invocation);
  const instance = findInstance(folder);
  if (findStopping(folder) !== null) throw new CommandError(notRunning(folder));
  // Those of this shell may lack what the instance was started with.
  const { role, interfaces, homes } = instance === null ? unnoted(invocation, folder) : noted(instance);

  const failures: string[] = [];
  const absent: string[] = [];
  let reached = 0;
  for (const [name, url, home] of [
    ['Admin API', interfaces.admin && `${interfaces.admin}/status`, homes?.admin],
    [
      role === 'control_plane' ? 'Status API' : 'data plane',
      interfaces.status && `${interfaces.status}/status/ready`,
      homes?.status,
    ],
  ] as const) {
    if (url === undefined) continue;
    // Without its note it may be another instance that answers there.
    if (home !== undefined && !(await isNodeOf(home, url.replace('/status/ready', '/status')))) {
      absent.push(`${name}: this node does not answer at ${url}`);
      continue;
    }
    reached += 1;
    const { failure, warnings } = await probe(url);
    process.stdout.write(`${name.padEnd(11)}${failure ?? 'ok'}\n`);
    if (failure !== null) failures.push(`${name}: ${failure}`);
    for (const warning of warnings) process.stdout.write(`warning: ${name}: ${warning}\n`);
  }
  if (instance === null && reached === 0) throw new CommandError(notRunning(folder));
  // A half of it answers: the other has not started yet, or has ended.
  failures.push(...absent);
  // No failure, like config that does not arrive: what serves must not be restarted by whoever asks for its health.
  for (const certificate of instance?.certificates ?? []) {
    const notice = datesNotice(certificate, new Date());
    if (notice !== null) process.stdout.write(`${notice.level === 'error' ? 'error' : 'warning'}: ${notice.message}\n`);
  }
  if (instance === null) {
    process.stdout.write(
      `warning: no ${join(folder, 'instance.json')}: it is still starting, or its disk is full, or cannot be written to\n`,
    );
  }
  const who = instance === null ? `role ${role}` : `pid ${instance.pid}, role ${role}`;
  if (failures.length > 0) throw new CommandError(`Holdfast (${who}) is not healthy: ${failures.join('; ')}`);
  process.stdout.write(`Holdfast is healthy at ${folder} (${who})\n`);
}

/** What is to be asked: of what role, where, and, unless an instance says itself where it answers, the folders of the nodes that are to answer. */
interface Asked {
  readonly role: string;
  readonly interfaces: { readonly admin?: string; readonly status?: string };
  readonly homes: { readonly admin: string; readonly status: string } | null;
}

function noted(instance: Instance): Asked {
  return { role: instance.role, interfaces: instance, homes: null };
}

function unnoted(invocation: Invocation, folder: string): Asked {
  const { settings } = settingsFor(invocation);
  const homes = { admin: folder, status: statusFolder(settings, folder) };
  return { role: settings.role, interfaces: interfacesOf(settings), homes };
}

/** Where an instance with these settings answers, unless its ports were left open. */
function interfacesOf(settings: Settings): { readonly admin?: string; readonly status?: string } {
  const [admin] = settings.role === 'data_plane' ? [] : settings.admin_listen;
  const [status] = settings.status_listen;
  return {
    ...(admin === undefined || admin.port === 0 ? {} : { admin: localUrl(admin) }),
    ...(status === undefined || status.port === 0 ? {} : { status: localUrl(status) }),
  };
}

/** Of the node whose Status API it is. */
function statusFolder({ role, data_plane_host: host }: Settings, folder: string): string {
  if (role === 'control_plane') return folder;
  const own = role === 'traditional' ? join(folder, 'data-plane') : folder;
  // On Node it is another node than on workerd, with a folder of its own in it.
  return host === 'node' ? join(own, 'native') : own;
}

/** Whether what answers at a `/status` is the node whose folder this is. */
async function isNodeOf(folder: string, url: string): Promise<boolean> {
  try {
    const id = readFileSync(join(folder, 'node-id'), 'utf8').trim();
    return recordOrEmpty(JSON.parse((await askInstance(url, PATIENCE)).text)).node_id === id;
  } catch {
    return false;
  }
}

/** What is to be said of an interface. */
interface Finding {
  /** Why it does not serve; null when it does. */
  readonly failure: string | null;
  /** What a person should know of one that serves. */
  readonly warnings: readonly string[];
}

async function probe(url: string): Promise<Finding> {
  try {
    const { status, text } = await askInstance(url, PATIENCE);
    if (status === 503 && awaitsConfig(text))
      return { failure: null, warnings: ['it waits for its config: POST /config, or declarative_config'] };
    if (status < 200 || status > 299) return { failure: `answers ${status}: ${text.slice(0, 200)}`, warnings: [] };
    return findingOf(recordOrEmpty(JSON.parse(text)));
  } catch (error) {
    return { failure: `does not answer at ${url} (${messageOf(error)})`, warnings: [] };
  }
}

/** Of a `/status/ready`: whether it is that of a node without a database, which nobody has given a config yet. It works as it should. */
function awaitsConfig(text: string): boolean {
  try {
    const { message, serial } = recordOrEmpty(JSON.parse(text));
    return serial === 0 && message !== 'draining';
  } catch {
    return false;
  }
}

/** Of the Admin API's `/status` or the Status API's `/status/ready`. */
function findingOf({ database, data_planes, configuration_withheld, unresolved_references }: Row): Finding {
  const { connected, withheld, reasons, unpublished } = recordOrEmpty(data_planes);
  const warnings: string[] = [];
  if (typeof unpublished === 'string') warnings.push(unpublished);
  if (typeof withheld === 'number' && withheld > 0) {
    const [first] = Array.isArray(reasons) ? reasons.map(recordOrEmpty) : [];
    const why = first === undefined ? '' : `: ${first.hostname}: ${first.reason}`;
    warnings.push(`config is withheld from ${withheld} of ${connected} data planes, which keep their last${why}`);
  }
  if (typeof configuration_withheld === 'string') warnings.push(`it has no newer config: ${configuration_withheld}`);
  for (const unresolved of Array.isArray(unresolved_references) ? unresolved_references.map(recordOrEmpty) : []) {
    const { entity, id, reference, reason } = unresolved;
    warnings.push(`${entity} ${id} fails closed: ${reference} cannot be resolved: ${reason}`);
  }
  const { reachable, reason } = recordOrEmpty(database);
  const why = typeof reason === 'string' ? reason : null;
  if (reachable !== false && why !== null) warnings.push(`of its database: ${why}`);
  const lost = `answers, but does not reach its database${why === null ? '' : ` (${why})`}`;
  return { failure: reachable === false ? lost : null, warnings };
}

/** Milliseconds. What answers at all does so within one second; this is for a machine that is overloaded. */
const PATIENCE = 5000;
