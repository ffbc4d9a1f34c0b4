import type { Manifest } from '../bundle/format.ts';
import type { Capability } from './capabilities.ts';
import type { NodeDescription, SyncStatus } from './messages.ts';

/** Why config is not given to a data plane; `reason` names every version and plugin at fault. */
interface Incompatibility {
  readonly sync_status: Exclude<SyncStatus, 'normal' | 'unknown'>;
  readonly reason: string;
}

/**
 * Kong's rules: the same major version and a control plane at least as new in its minor version, for the planes
 * themselves and for every configured plugin; every configured plugin present. Plugins that no row configures do not
 * matter. Neither does what the node cannot honour (`conflicts`), unless it would take it for something else. Null: compatible.
 */
export function incompatibility(
  controlPlane: string,
  node: Pick<NodeDescription, 'version' | 'plugins'>,
  configured: Manifest['plugins'],
  conflicts: readonly Conflicting[] = [],
): Incompatibility | null {
  const faults: Incompatibility[] = [];
  if (!mayServe(controlPlane, node.version)) {
    const reason = `version mismatches, CP version: ${controlPlane} DP version: ${node.version}`;
    faults.push({ sync_status: 'kong_version_incompatible', reason });
  }
  const { absent, other } = pluginFaults(node.plugins, configured);
  if (absent !== null) faults.push({ sync_status: 'plugin_set_incompatible', reason: absent });
  if (other !== null) faults.push({ sync_status: 'plugin_version_incompatible', reason: other });
  const fatal = conflicts.find(({ capability }) => FATAL.has(capability));
  if (fatal !== undefined) {
    const { entity, id, reason, capability } = fatal;
    const why = FATAL.get(capability);
    faults.push({
      sync_status: 'plugin_set_incompatible',
      reason: `${entity} ${id}: ${reason}; this data plane ${why}`,
    });
  }
  const [first] = faults;
  // Kong has one status for a node: the first, with every reason, so that all can be mended at once.
  return first === undefined ? null : { ...first, reason: together(faults.map(({ reason }) => reason)) };
}

/** Why a data plane with the plugins `present` must not take a config with those `configured`; null when it may. */
export function pluginMismatch(present: NodeDescription['plugins'], configured: Manifest['plugins']): string | null {
  const { absent, other } = pluginFaults(present, configured);
  return absent === null && other === null ? null : together([absent, other]);
}

/** A row a node's runtime cannot honour. */
interface Conflicting {
  readonly entity: string;
  readonly id: string;
  readonly capability: string;
  readonly reason: string;
}

/**
 * A data plane without these cannot load the config, or takes it for another than it is: a group's plugin for everybody's, a reference for the
 * secret. */
const FATAL: ReadonlyMap<string, string> = new Map<Capability, string>([
  ['consumer_groups', 'is too old to know what it says'],
  ['vault_references', 'is too old to know what it says'],
  ['lua', 'is set to run none, or too old to know it'],
]);

/** Whether config that needs it is kept from data planes without it. */
export function withholds(capability: Capability): boolean {
  return FATAL.has(capability);
}

/** What config is kept from data planes for, that lack any of it. */
export interface Needed {
  readonly plugins: readonly string[];
  readonly capabilities: readonly Capability[];
}

/** Whether config that needs all this is kept from that data plane, whatever else it has. */
export function lacksAny(
  { plugins, capabilities }: Needed,
  node: Pick<NodeDescription, 'plugins' | 'capabilities'>,
): boolean {
  return (
    absentPlugins(plugins, node).length > 0 ||
    capabilities.some((capability) => !node.capabilities.includes(capability))
  );
}

/** Plugins the control plane knows and the data plane does not: worth a word when it connects, no more. */
export function absentPlugins(known: Iterable<string>, node: Pick<NodeDescription, 'plugins'>): readonly string[] {
  return [...known].filter((plugin) => !Object.hasOwn(node.plugins, plugin)).sort();
}

/** In words, the plugins that are not there, and those at versions that do not fit. */
function pluginFaults(
  present: NodeDescription['plugins'],
  configured: Manifest['plugins'],
): { readonly absent: string | null; readonly other: string | null } {
  const absent = absentPlugins(Object.keys(configured), { plugins: present }).map((plugin) => `'${plugin}'`);
  const other = Object.entries(configured).flatMap(([plugin, version]) => {
    const own = Object.hasOwn(present, plugin) ? present[plugin] : undefined;
    if (own === undefined || mayServe(version, own)) return [];
    return [`plugin '${plugin}' is configured for version ${version}, but this data plane has version ${own}`];
  });
  return { absent: absentInWords(absent), other: other.length === 0 ? null : together(other) };
}

function absentInWords(names: readonly string[]): string | null {
  if (names.length === 0) return null;
  return names.length === 1
    ? `plugin ${names[0]} is configured, but this data plane does not have it`
    : `plugins ${names.join(', ')} are configured, but this data plane does not have them`;
}

function together(reasons: readonly (string | null)[]): string {
  return reasons.filter((reason) => reason !== null).join('; ');
}

function mayServe(newer: string, older: string): boolean {
  const [a, b] = [majorMinor(newer), majorMinor(older)];
  return a !== null && b !== null && a.major === b.major && a.minor >= b.minor;
}

function majorMinor(version: string): { major: number; minor: number } | null {
  const match = /^(\d+)\.(\d+)\.\d+/.exec(version);
  return match === null ? null : { major: Number(match[1]), minor: Number(match[2]) };
}
