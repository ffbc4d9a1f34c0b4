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
      match: { pattern: '^[a-z][a-z%d-]-[a-z%d]+$', regex: /^[a-z][a-z\d-]*[a-z\d]$/ },
      not_one_of: ['env'],
      description: 'The word references begin with, as in {vault://prefix/name}.',
    },
    name: { type: 'string', required: true, description: 'The kind of vault.' },
    description: { type: 'string', description: 'What it is for, in your own words.' },
    config: {
      type: 'record',
      abstract: true,
      fields: {},
      description: 'Where the secrets are. Which settings there are depends on the kind of vault.',
    },
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
              description: 'Put before the name of each variable.',
            },
            ttl: {
              ...seconds,
              description: 'Seconds that a secret is good for. 0: until config that refers to it is applied anew.',
            },
            neg_ttl: { ...seconds, description: 'Seconds for which it is remembered that there is no such secret.' },
            resurrect_ttl: {
              ...seconds,
              description: 'Seconds that a secret is still used for when it can no longer be read.',
            },
          },
          description: 'Which environment variables of data planes are read, and for how long what was read is good.',
        },
      },
    },
  },
});
