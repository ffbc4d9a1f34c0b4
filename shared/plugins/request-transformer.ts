import { protocols } from '../schema/kinds.ts';
import { defineField, definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { headerPairError, headerRenameError, list, pair, templatePairError } from './fields/header-pairs.ts';

const names = list({ type: 'string' });
const headerNames = list({ type: 'string', custom_validator: headerPairError, head: 'name:value' });
const values = list({ type: 'string', custom_validator: templatePairError });
const headerValues = list({ type: 'string', match: pair, custom_validator: headerPairError, head: 'name:template' });
const headerRenames = list({ type: 'string', match: pair, custom_validator: headerRenameError, head: 'name:name' });

const additions = defineField({
  type: 'record',
  required: true,
  fields: {
    body: { ...values, description: 'Fields of the body.' },
    headers: { ...headerValues, description: 'Headers.' },
    querystring: { ...values, description: 'Query arguments.' },
  },
});

/** Changes requests on their way to the upstream; values are templates. */
export const requestTransformer = definePlugin({
  name: 'request-transformer',
  version: KONG_VERSION,
  priority: 801,
  phases: ['access'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        http_method: {
          type: 'string',
          match: { pattern: '^%u+$', regex: /^[A-Z]+$/ },
          description: 'The API gets requests with this method. Not set: with their own.',
        },
        remove: {
          type: 'record',
          required: true,
          fields: {
            body: { ...names, description: 'Fields of the body.' },
            headers: { ...headerNames, description: 'Headers.' },
            querystring: { ...names, description: 'Query arguments.' },
          },
          description: 'What is taken out, by name.',
        },
        rename: {
          type: 'record',
          required: true,
          fields: {
            body: { ...values, description: 'Fields of the body.' },
            headers: { ...headerRenames, description: 'Headers.' },
            querystring: { ...values, description: 'Query arguments.' },
          },
          description: 'What gets another name, as old:new.',
        },
        replace: {
          type: 'record',
          required: true,
          fields: {
            body: { ...values, description: 'Fields of the body.' },
            headers: { ...headerValues, description: 'Headers.' },
            querystring: { ...values, description: 'Query arguments.' },
            uri: {
              type: 'string',
              head: 'template',
              description: 'The path that the API gets. May be a template, as /v2/$(uri_captures.rest).',
            },
          },
          description: 'What gets another value if it is there, as name:value.',
        },
        add: { ...additions, description: 'What is put in if it is not there, as name:value.' },
        append: { ...additions, description: 'What is added to what is there, as name:value.' },
      },
    },
  },
});

export type RequestTransformerConfig = Entity<typeof requestTransformer>['config'];
