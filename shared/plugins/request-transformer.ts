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
  fields: { body: values, headers: headerValues, querystring: values },
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
        http_method: { type: 'string', match: { pattern: '^%u+$', regex: /^[A-Z]+$/ } },
        remove: {
          type: 'record',
          required: true,
          fields: { body: names, headers: headerNames, querystring: names },
        },
        rename: {
          type: 'record',
          required: true,
          fields: { body: values, headers: headerRenames, querystring: values },
        },
        replace: {
          type: 'record',
          required: true,
          fields: {
            body: values,
            headers: headerValues,
            querystring: values,
            uri: { type: 'string', head: 'template' },
          },
        },
        add: additions,
        append: additions,
      },
    },
  },
});

export type RequestTransformerConfig = Entity<typeof requestTransformer>['config'];
