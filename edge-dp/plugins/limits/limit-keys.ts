import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';
import type { Place } from '../runtime/plugin.ts';

const NONE = '00000000-0000-0000-0000-000000000000';

/**
 * What counters' keys begin with: Kong's own form, so that both can count together in one Redis. Configurations for the same route
 * and service share counters; those of whole workspaces do not.
 */
export function keyPrefix(plugin: string, { workspace, route, service }: Place): string {
  const everywhere = route === null && service === null;
  const scope = everywhere && workspace !== DEFAULT_WORKSPACE.id ? workspace : NONE;
  return `${plugin}:${route ?? scope}:${service ?? NONE}:`;
}
