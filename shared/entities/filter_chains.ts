import { autoTimestamp, name, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** Proxy-Wasm filters. None can run here, so every write is refused as by a Kong without wasm. */
export const filterChains = defineEntity({
  name: 'filter_chains',
  primary_key: ['id'],
  endpoint_key: 'name',
  cache_key: ['route', 'service'],
  workspaceable: true,
  admin_api_name: 'filter-chains',
  fields: {
    id: uuid,
    name: { ...name, description: 'By which it is found in the Admin API.' },
    enabled: {
      type: 'boolean',
      required: true,
      default: true,
      description: 'When it is off, it is as if it were not there.',
    },
    route: {
      type: 'foreign',
      reference: 'routes',
      on_delete: 'cascade',
      default: null,
      unique: true,
      description: 'Only requests of this route.',
    },
    service: {
      type: 'foreign',
      reference: 'services',
      on_delete: 'cascade',
      default: null,
      unique: true,
      description: 'Only requests to this service.',
    },
    filters: {
      type: 'array',
      required: true,
      len_min: 1,
      elements: {
        type: 'record',
        fields: {
          name: {
            type: 'string',
            required: true,
            one_of: [],
            err: 'no such filter',
            description: 'The kind of filter. Data planes have none.',
          },
          enabled: { type: 'boolean', default: true, required: true, description: 'Off: requests go past it.' },
          config: {
            type: 'json',
            required: false,
            json_schema: {
              parent_subschema_key: 'name',
              namespace: 'proxy-wasm-filters',
              optional: true,
              default: { $schema: 'http://json-schema.org/draft-04/schema#', type: ['string', 'null'] },
            },
            description: 'What the filter is told.',
          },
        },
      },
      description: 'What requests go through, in this order.',
    },
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    tags,
  },
  entity_checks: [
    { mutually_exclusive: ['service', 'route'] },
    { at_least_one_of: ['service', 'route'] },
    {
      custom_entity_check: {
        field_sources: ['filters'],
        run_with_invalid_fields: true,
        fn: () => 'wasm support is not enabled',
      },
    },
  ],
});
