import { entity } from '../../../shared/entities/registry.ts';
import { plugins } from '../../../shared/plugins/registry.ts';
import type { Context } from '../../../shared/schema/complete.ts';

/** What validation needs when nothing is stored: automatic values of the right form, and the plugins by name. */
export const validationContext: Context = {
  now: () => Date.now() / 1000,
  uuid: () => crypto.randomUUID(),
  secret: () => crypto.randomUUID().replaceAll('-', ''),
  entity,
  subschema: (owner, key) => (owner === 'plugins' ? plugins.get(key) : undefined),
};
