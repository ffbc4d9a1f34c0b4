import type { EntitySchema } from '../schema/vocabulary.ts';
import { acls } from './acls.ts';
import { acmeStorage } from './acme_storage.ts';
import { basicauthCredentials } from './basicauth_credentials.ts';
import { caCertificates } from './ca_certificates.ts';
import { certificates } from './certificates.ts';
import { consumerGroupConsumers } from './consumer_group_consumers.ts';
import { consumerGroups } from './consumer_groups.ts';
import { consumers } from './consumers.ts';
import { customPlugins } from './custom_plugins.ts';
import { filterChains } from './filter_chains.ts';
import { groups } from './groups.ts';
import { hmacauthCredentials } from './hmacauth_credentials.ts';
import { jwtSecrets } from './jwt_secrets.ts';
import { keySets } from './key_sets.ts';
import { keyauthCredentials } from './keyauth_credentials.ts';
import { keys } from './keys.ts';
import { oauth2AuthorizationCodes } from './oauth2_authorization_codes.ts';
import { oauth2Credentials } from './oauth2_credentials.ts';
import { oauth2Tokens } from './oauth2_tokens.ts';
import { plugins } from './plugins.ts';
import { expressionRoutes, routes } from './routes.ts';
import { services } from './services.ts';
import { sessions } from './sessions.ts';
import { snis } from './snis.ts';
import { targets } from './targets.ts';
import { upstreams } from './upstreams.ts';
import { vaults } from './vaults.ts';
import { workspaces } from './workspaces.ts';

/** Every entity, parents before the entities that refer to them. */
export const entities: readonly EntitySchema[] = [
  workspaces,
  certificates,
  caCertificates,
  services,
  routes,
  consumers,
  consumerGroups,
  consumerGroupConsumers,
  customPlugins,
  plugins,
  upstreams,
  targets,
  snis,
  vaults,
  keySets,
  keys,
  filterChains,
  keyauthCredentials,
  basicauthCredentials,
  hmacauthCredentials,
  jwtSecrets,
  acls,
  oauth2Credentials,
  oauth2Tokens,
  oauth2AuthorizationCodes,
  acmeStorage,
  sessions,
  groups,
];

const byName = new Map(entities.map((schema) => [schema.name, schema]));

/** By DAO name: `services`, `keyauth_credentials`. */
export function entity(name: string): EntitySchema | undefined {
  return byName.get(name);
}

/** What routes may match by: the setting `router_flavor`. */
export type RouterFlavor = 'traditional_compatible' | 'expressions' | 'traditional';

/** Every entity as a router flavour has it: with `expressions`, routes have an expression and its priority. */
export function entitiesFor(flavor: RouterFlavor): readonly EntitySchema[] {
  return flavor === 'expressions'
    ? entities.map((schema) => (schema === routes ? expressionRoutes : schema))
    : entities;
}
