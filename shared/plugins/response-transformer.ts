import { httpProtocols } from '../schema/kinds.ts';
import { defineField, definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { headerRenameError, list, pair } from './fields/header-pairs.ts';

const names = list({ type: 'string' });
const values = list({ type: 'string', match: pair });
const headerValues = list({ type: 'string', match: pair, head: 'name:value' });
const types = list({ type: 'string', one_of: ['boolean', 'number', 'string'] });

const additions = defineField({
  type: 'record',
  required: true,
  fields: { json: values, json_types: types, headers: headerValues },
});

/** Changes responses on their way to the client. */
export const responseTransformer = definePlugin({
  name: 'response-transformer',
  version: KONG_VERSION,
  priority: 800,
  phases: ['header_filter', 'body_filter'],
  fields: {
    protocols: httpProtocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        remove: {
          type: 'record',
          required: true,
          fields: { json: names, headers: list({ type: 'string', head: 'name:value' }) },
        },
        rename: {
          type: 'record',
          required: true,
          fields: {
            json: values,
            headers: list({ type: 'string', match: pair, custom_validator: headerRenameError, head: 'name:name' }),
          },
        },
        replace: additions,
        add: additions,
        append: additions,
      },
    },
  },
});

export type ResponseTransformerConfig = Entity<typeof responseTransformer>['config'];
