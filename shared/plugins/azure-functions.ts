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
        timeout: { type: 'number', default: 600000, description: 'Milliseconds until the function is given up.' },
        keepalive: {
          type: 'number',
          default: 60000,
          description: 'Milliseconds for which an idle connection is kept.',
        },
        https: { type: 'boolean', default: true, description: 'The function is called over TLS.' },
        https_verify: { type: 'boolean', default: false, description: 'Whether its certificate is checked.' },
        apikey: {
          ...headerValue,
          referenceable: true,
          encrypted: true,
          description: 'The key that lets the gateway call it.',
        },
        clientid: { ...headerValue, referenceable: true, encrypted: true, description: 'The name of that key.' },
        appname: { ...headerValue, required: true, description: 'The function app it is in.' },
        hostdomain: {
          ...headerValue,
          required: true,
          default: 'azurewebsites.net',
          description: 'The domain of the function app.',
        },
        routeprefix: { ...headerValue, default: 'api', description: 'What paths of functions begin with.' },
        functionname: { ...headerValue, required: true, description: 'The function.' },
      },
    },
  },
});

export type AzureFunctionsConfig = Entity<typeof azureFunctions>['config'];
