import { autoTimestamp, name, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** A part of the configuration with its own administrators; the shape is Kong Enterprise's. */
export const workspaces = defineEntity({
  name: 'workspaces',
  primary_key: ['id'],
  endpoint_key: 'name',
  cache_key: ['name'],
  generate_admin_api: false,
  db_export: false,
  // Data planes find upstreams by workspace name.
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    // The first segment of a path is a workspace's name or one of these.
    name: {
      ...name,
      required: true,
      not_one_of: [
        'workspaces',
        'consumers',
        'certificates',
        'services',
        'routes',
        'snis',
        'upstreams',
        'targets',
        'plugins',
        'tags',
        'ca_certificates',
        'clustering_data_planes',
        'parameters',
        'vaults',
        'key_sets',
        'keys',
        'filter_chains',
      ],
      description: 'The first part of the paths of what is in it.',
    },
    comment: { type: 'string', description: 'What it is for, in your own words.' },
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    meta: {
      type: 'record',
      required: true,
      fields: {
        color: {
          type: 'string',
          match: { pattern: '^#%x%x%x%x%x%x$', regex: /^#[0-9A-Fa-f]{6}$/ },
          description: 'Its colour, as #1a7f37.',
        },
        thumbnail: { type: 'string', description: 'Its picture.' },
      },
      description: 'How programs with a screen show it.',
    },
    config: {
      type: 'map',
      keys: { type: 'string' },
      values: { type: 'any' },
      required: true,
      default: {},
      description: 'Settings of the workspace, as other tools keep them.',
    },
  },
});
