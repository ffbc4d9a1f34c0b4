import { entity } from '../../../shared/entities/registry.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
import type { Context } from '../../../shared/schema/complete.ts';

/** A context whose automatic values are recognisable. `now` is in seconds. */
export function context(now = 1_700_000_000.25): Context {
  let count = 0;
  return {
    now: () => now,
    uuid: () => {
      count++;
      return `00000000-0000-4000-8000-${String(count).padStart(12, '0')}`;
    },
    secret: () => 'abcdefghijklmnopqrstuvwxyz012345',
    entity,
    subschema: (owner, key) => (owner === 'plugins' ? plugins.get(key) : undefined),
  };
}
