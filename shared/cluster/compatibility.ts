import type { Manifest } from '../bundle/format.ts';
import type { NodeDescription, SyncStatus } from './messages.ts';

/** Why config is not given to a data plane; `reason` names the version or plugin at fault. */
interface Incompatibility {
  readonly sync_status: Exclude<SyncStatus, 'normal' | 'unknown'>;
  readonly reason: string;
}

/**
 * Kong's rules: the same major version and a control plane at least as new in its minor version, for the planes
 * themselves and for every configured plugin; every configured plugin present. Plugins that no row configures do not
 * matter. Null: compatible.
 */
export function incompatibility(
  controlPlane: string,
  node: Pick<NodeDescription, 'version' | 'plugins'>,
  configured: Manifest['plugins'],
): Incompatibility | null {
  if (!mayServe(controlPlane, node.version)) {
    return {
      sync_status: 'kong_version_incompatible',
      reason: `version mismatches, CP version: ${controlPlane} DP version: ${node.version}`,
    };
  }
  for (const [plugin, version] of Object.entries(configured)) {
    const present = Object.hasOwn(node.plugins, plugin) ? node.plugins[plugin] : undefined;
    if (present === undefined) {
      return {
        sync_status: 'plugin_set_incompatible',
        reason: `plugin '${plugin}' is configured, but this data plane does not have it`,
      };
    }
    if (!mayServe(version, present)) {
      return {
        sync_status: 'plugin_version_incompatible',
        reason: `plugin '${plugin}' is configured for version ${version}, but this data plane has version ${present}`,
      };
    }
  }
  return null;
}

/** Plugins the control plane knows and the data plane does not: worth a word when it connects, no more. */
export function absentPlugins(known: Iterable<string>, node: Pick<NodeDescription, 'plugins'>): readonly string[] {
  return [...known].filter((plugin) => !Object.hasOwn(node.plugins, plugin)).sort();
}

function mayServe(newer: string, older: string): boolean {
  const [a, b] = [majorMinor(newer), majorMinor(older)];
  return a !== null && b !== null && a.major === b.major && a.minor >= b.minor;
}

function majorMinor(version: string): { major: number; minor: number } | null {
  const match = /^(\d+)\.(\d+)\.\d+/.exec(version);
  return match === null ? null : { major: Number(match[1]), minor: Number(match[2]) };
}
