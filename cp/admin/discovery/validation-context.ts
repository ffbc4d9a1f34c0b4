import { entity } from '../../../shared/entities/registry.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
import type { Context } from '../../../shared/schema/complete.ts';

/**
 * What validation needs when nothing is stored: automatic values of the right form, and the plugins by name, those that
 * are `enabled` (null: all known ones).
 */
export const validationContext = (enabled: ReadonlySet<string> | null): Context => ({
  now: () => Date.now() / 1000,
  uuid: () => crypto.randomUUID(),
  secret: () => crypto.randomUUID().replaceAll('-', ''),
  entity,
  subschema: (owner, key) => (owner === 'plugins' && (enabled?.has(key) ?? true) ? plugins.get(key) : undefined),
});
