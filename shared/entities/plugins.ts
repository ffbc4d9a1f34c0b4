import { autoTimestamp, name, protocols, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

/** A plugin's configuration and what it applies to: everything, or a route, a service, a consumer or a group of them. */
export const plugins = defineEntity({
  name: 'plugins',
  primary_key: ['id'],
  endpoint_key: 'instance_name',
  cache_key: ['name', 'route', 'service', 'consumer', 'consumer_group'],
  workspaceable: true,
  subschema_key: 'name',
  subschema_error: "plugin '%s' not enabled; add it to the 'plugins' configuration property",
  bundle: { mode: 'eager' },
  entity_checks: [{ mutually_exclusive: ['consumer', 'consumer_group'] }],
  fields: {
    id: uuid,
    name: { type: 'string', required: true, description: 'The kind of plugin.' },
    instance_name: { ...name, description: 'To tell several of the same kind apart.' },
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    route: {
      type: 'foreign',
      default: null,
      reference: 'routes',
      on_delete: 'cascade',
      description: 'Only requests of this route.',
    },
    service: {
      type: 'foreign',
      default: null,
      reference: 'services',
      on_delete: 'cascade',
      description: 'Only requests to this service. With no service, route, consumer or group: all requests.',
    },
    consumer: {
      type: 'foreign',
      default: null,
      reference: 'consumers',
      on_delete: 'cascade',
      description: 'Only requests of this consumer.',
    },
    consumer_group: {
      type: 'foreign',
      default: null,
      reference: 'consumer_groups',
      on_delete: 'cascade',
      extension: true,
      description: 'Only requests of consumers in this group.',
    },
    config: {
      type: 'record',
      abstract: true,
      fields: {},
      description: 'What the plugin is told. Which settings there are depends on its kind.',
    },
    protocols,
    enabled: {
      type: 'boolean',
      required: true,
      default: true,
      description: 'When it is off, it is as if it were not there.',
    },
    tags,
  },
});
