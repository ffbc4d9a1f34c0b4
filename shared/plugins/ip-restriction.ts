import { need } from '../cluster/need.ts';
import { ipOrCidr } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { errorStatusError } from './fields/error-status.ts';

/** Allows or refuses clients by address. */
export const ipRestriction = definePlugin({
  name: 'ip-restriction',
  version: KONG_VERSION,
  priority: 990,
  phases: ['preread', 'access'],
  needs: () => [need('client_address', 'name', 'ip-restriction')],
  fields: {
    protocols: {
      type: 'set',
      required: true,
      default: ['http', 'https', 'tcp', 'tls', 'grpc', 'grpcs'],
      elements: { type: 'string', one_of: ['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'tls_passthrough', 'udp'] },
      description: 'Requests by other protocols are not touched.',
    },
    config: {
      type: 'record',
      required: true,
      fields: {
        allow: {
          type: 'array',
          elements: ipOrCidr,
          description: 'Addresses and networks that are let in, as 10.0.0.0/8; all others are not.',
        },
        deny: {
          type: 'array',
          elements: ipOrCidr,
          description: 'Addresses and networks that are kept out; all others are not.',
        },
        status: {
          type: 'number',
          required: false,
          custom_validator: errorStatusError,
          description: 'Status of the answer to those who are kept out. Not set: 403.',
        },
        message: { type: 'string', required: false, description: 'What the answer to them says.' },
      },
    },
  },
  entity_checks: [{ at_least_one_of: ['config.allow', 'config.deny'] }],
});

export type IpRestrictionConfig = Entity<typeof ipRestriction>['config'];
