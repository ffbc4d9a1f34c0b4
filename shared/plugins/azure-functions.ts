import { protocols } from '../schema/kinds.ts';
import { definePlugin } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Answers requests with an Azure function. */
export const azureFunctions = definePlugin({
  name: 'azure-functions',
  version: KONG_VERSION,
  priority: 749,
  phases: ['access'],
  fields: {
    protocols,
    config: {
      type: 'record',
      required: true,
      fields: {
        timeout: { type: 'number', default: 600000 },
        keepalive: { type: 'number', default: 60000 },
        https: { type: 'boolean', default: true },
        https_verify: { type: 'boolean', default: false },
        apikey: { type: 'string', referenceable: true, encrypted: true },
        clientid: { type: 'string', referenceable: true, encrypted: true },
        appname: { type: 'string', required: true },
        hostdomain: { type: 'string', required: true, default: 'azurewebsites.net' },
        routeprefix: { type: 'string', default: 'api' },
        functionname: { type: 'string', required: true },
      },
    },
  },
});
