import { need } from '../cluster/need.ts';
import { headerValue, protocols } from '../schema/kinds.ts';
import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';

/** Answers requests with an Azure function. */
export const azureFunctions = definePlugin({
  name: 'azure-functions',
  version: KONG_VERSION,
  priority: 749,
  phases: ['access'],
  *needs({ https, https_verify }) {
    if (https !== false && https_verify !== true)
      yield need('tls_unverified', 'config.https_verify', https_verify ?? false);
  },
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
        apikey: { ...headerValue, referenceable: true, encrypted: true },
        clientid: { ...headerValue, referenceable: true, encrypted: true },
        appname: { ...headerValue, required: true },
        hostdomain: { ...headerValue, required: true, default: 'azurewebsites.net' },
        routeprefix: { ...headerValue, default: 'api' },
        functionname: { ...headerValue, required: true },
      },
    },
  },
});

export type AzureFunctionsConfig = Entity<typeof azureFunctions>['config'];
