import type { AzureFunctionsConfig } from '../../shared/plugins/azure-functions.ts';
import { messageOf } from '../../shared/thrown.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { functionAnswer } from './function-answer.ts';
import { tellProblem } from './problem-line.ts';
import { type Plugin, waitedFor } from './runtime/plugin.ts';
import { ServiceError } from './runtime/services.ts';

/** Bytes of a request's body that goes to a function: what Azure takes. */
const LARGEST_BODY = 100 << 20;

/** Not the function's business: the name the client called, and what is about its connection. */
const NOT_SENT: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'content-length',
  'expect',
]);

/** Answers requests with an Azure function. */
const azureFunctions: Plugin<AzureFunctionsConfig> = {
  name: 'azure-functions',
  version: KONG_VERSION,
  priority: 749,
  compile(config, place, services) {
    const prefix = withoutSlashes(config.routeprefix ?? '');
    const path = `${prefix === '' ? '' : `/${prefix}`}/${withoutSlashes(config.functionname)}`;
    const scheme = config.https === false ? 'http' : 'https';
    const origin = `${scheme}://${config.appname}.${config.hostdomain}`;
    const keys = [
      ['x-functions-key', config.apikey],
      ['x-functions-clientid', config.clientid],
    ] as const;
    return {
      async access(request) {
        const headers: Record<string, string> = {};
        for (const [name, value] of request.headers) if (!NOT_SENT.has(name)) headers[name] = value;
        for (const [name, value] of keys) {
          // The function must not take a client's for the gateway's.
          delete headers[name];
          if (value !== null) headers[name] = value;
        }
        const body = request.body.length === 0 ? null : await request.body.read(LARGEST_BODY);
        if (body === null && request.body.length !== 0) return request.error(413);
        const began = Date.now();
        try {
          const response = await services.fetch({
            url: `${origin}${path}${request.query === '' ? '' : `?${request.query}`}`,
            method: request.method,
            headers,
            body,
            timeout: config.timeout ?? 600_000,
            verify: config.https_verify ?? false,
          });
          return waitedFor(functionAnswer(response, services.via), Date.now() - began);
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error;
          tellProblem(services, { plugin: 'azure-functions', place }, request, messageOf(error));
          return waitedFor(request.exit(500, { message: 'An unexpected error occurred' }), Date.now() - began);
        }
      },
    };
  },
};

export default azureFunctions;

function withoutSlashes(path: string): string {
  return path.replace(/^\/+|\/+$/g, '');
}
