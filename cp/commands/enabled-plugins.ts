import type { Settings } from '../settings/properties.ts';

/** Has the names of the plugins the data plane of this version runs. */
export type DataPlanePlugins = () => Promise<ReadonlySet<string>>;

/**
 * The plugins that can be configured where a data plane of this very version serves the config; null, all that are known,
 * on a control plane alone, whose data planes say themselves what they have.
 */
export async function enabledPlugins(
  { role }: Pick<Settings, 'role'>,
  ofDataPlane: DataPlanePlugins,
): Promise<ReadonlySet<string> | null> {
  return role === 'control_plane' ? null : await ofDataPlane();
}
