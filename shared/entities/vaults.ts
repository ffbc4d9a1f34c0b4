import { autoTimestamp, tags, uuid } from '../schema/kinds.ts';
import { defineEntity, defineField } from '../schema/vocabulary.ts';

/**
 * How long what was read of a vault is good for, in seconds, as in the vaults of Kong's Enterprise edition: a secret (0: until config
 * that refers to it is applied anew), that there is none, and one that can no longer be had.
 */
const seconds = defineField({ type: 'integer', between: [0, 100_000_000], extension: true });

/** Where `{vault://prefix/…}` references are looked up. */
export const vaults = defineEntity({
  name: 'vaults',
  primary_key: ['id'],
  endpoint_key: 'prefix',
  cache_key: ['prefix'],
  workspaceable: true,
  admin_api_name: 'vaults',
  subschema_key: 'name',
  subschema_error: "vault '%s' is not installed",
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    prefix: {
      type: 'string',
      required: true,
      unique: true,
      unique_across_ws: true,
      match: { pattern: '^[a-z][a-z%d-]-[a-z%d]+$', regex: /^[a-z][a-z\d-]*?[a-z\d]+$/ },
      not_one_of: ['env'],
    },
    name: { type: 'string', required: true },
    description: { type: 'string' },
    config: { type: 'record', abstract: true, fields: {} },
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    tags,
  },
  subschemas: {
    // Environment variables of the data plane.
    env: {
      fields: {
        config: {
          type: 'record',
          required: true,
          fields: {
            prefix: {
              type: 'string',
              match: { pattern: '^[%a_-][%a%d_-]*$', regex: /^[A-Za-z_-][A-Za-z0-9_-]*$/ },
            },
            ttl: seconds,
            neg_ttl: seconds,
            resurrect_ttl: seconds,
          },
        },
      },
    },
  },
});
