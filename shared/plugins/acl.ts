import { httpProtocols, noConsumer } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Lets consumers through, or keeps them out, by their groups. */
export const acl = definePlugin({
  name: 'acl',
  version: KONG_VERSION,
  priority: 950,
  phases: ['access'],
  entities: ['acls'],
  fields: {
    consumer: noConsumer,
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        allow: { type: 'array', elements: { type: 'string' } },
        deny: { type: 'array', elements: { type: 'string' } },
        hide_groups_header: { type: 'boolean', required: true, default: false },
        always_use_authenticated_groups: { type: 'boolean', required: true, default: false },
      },
    },
  },
  entity_checks: [
    { only_one_of: ['config.allow', 'config.deny'] },
    { at_least_one_of: ['config.allow', 'config.deny'] },
  ],
});

export type AclConfig = Entity<typeof acl>['config'];
