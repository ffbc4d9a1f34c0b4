import type { EntitySchema } from '../schema/vocabulary.ts';
import { consumers } from './consumers.ts';
import { keyauthCredentials } from './keyauth_credentials.ts';
import { plugins } from './plugins.ts';
import { routes } from './routes.ts';
import { services } from './services.ts';

/** Every entity, parents before the entities that refer to them. */
export const entities: readonly EntitySchema[] = [services, routes, consumers, plugins, keyauthCredentials];

const byName = new Map(entities.map((schema) => [schema.name, schema]));

/** By DAO name: `services`, `keyauth_credentials`. */
export function entity(name: string): EntitySchema | undefined {
  return byName.get(name);
}
