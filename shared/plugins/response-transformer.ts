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
  fields: {
    json: { ...values, description: 'Fields of a JSON body.' },
    json_types: { ...types, description: 'Types of the values above, in the same order.' },
    headers: { ...headerValues, description: 'Headers.' },
  },
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
          fields: {
            json: { ...names, description: 'Fields of a JSON body.' },
            headers: {
              ...list({ type: 'string', head: 'name:value' }),
              description: 'Headers. What stands behind a colon is not looked at.',
            },
          },
          description: 'What is taken out, by name.',
        },
        rename: {
          type: 'record',
          required: true,
          fields: {
            json: { ...values, description: 'Fields of a JSON body.' },
            headers: {
              ...list({ type: 'string', match: pair, custom_validator: headerRenameError, head: 'name:name' }),
              description: 'Headers.',
            },
          },
          description: 'What gets another name, as old:new.',
        },
        replace: { ...additions, description: 'What gets another value if it is there, as name:value.' },
        add: { ...additions, description: 'What is put in if it is not there, as name:value.' },
        append: { ...additions, description: 'What is added to what is there, as name:value.' },
      },
    },
  },
});

export type ResponseTransformerConfig = Entity<typeof responseTransformer>['config'];
