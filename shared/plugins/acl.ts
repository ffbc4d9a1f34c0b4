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
        allow: {
          type: 'array',
          elements: { type: 'string' },
          description: 'Groups whose consumers are let in; all others are not.',
        },
        deny: {
          type: 'array',
          elements: { type: 'string' },
          description: 'Groups whose consumers are not let in; all others are.',
        },
        hide_groups_header: {
          type: 'boolean',
          required: true,
          default: false,
          description: 'The API does not see the groups of the consumer in X-Consumer-Groups.',
        },
        always_use_authenticated_groups: {
          type: 'boolean',
          required: true,
          default: false,
          description:
            'Groups that another plugin found count even when a consumer is known, who has groups of their own.',
        },
      },
    },
  },
  entity_checks: [
    { only_one_of: ['config.allow', 'config.deny'] },
    { at_least_one_of: ['config.allow', 'config.deny'] },
  ],
});

export type AclConfig = Entity<typeof acl>['config'];
