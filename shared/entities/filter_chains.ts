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
    name,
    enabled: { type: 'boolean', required: true, default: true },
    route: { type: 'foreign', reference: 'routes', on_delete: 'cascade', default: null, unique: true },
    service: { type: 'foreign', reference: 'services', on_delete: 'cascade', default: null, unique: true },
    filters: {
      type: 'array',
      required: true,
      len_min: 1,
      elements: {
        type: 'record',
        fields: {
          name: { type: 'string', required: true, one_of: [], err: 'no such filter' },
          enabled: { type: 'boolean', default: true, required: true },
          config: {
            type: 'json',
            required: false,
            json_schema: {
              parent_subschema_key: 'name',
              namespace: 'proxy-wasm-filters',
              optional: true,
              default: { $schema: 'http://json-schema.org/draft-04/schema#', type: ['string', 'null'] },
            },
          },
        },
      },
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
