import { describe, expect, it } from 'vitest';
import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import azureFunctions from '../../../edge-dp/plugins/azure-functions.ts';
import { qualified } from '../../../edge-dp/plugins/runtime/plugin.ts';
import { type OutgoingRequest, ServiceError } from '../../../edge-dp/plugins/runtime/services.ts';
import type { AzureFunctionsConfig } from '../../../shared/plugins/azure-functions.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CONFIG: AzureFunctionsConfig = {
  timeout: 600_000,
  keepalive: 60_000,
  https: true,
  https_verify: true,
  apikey: null,
  clientid: null,
  appname: 'app',
  hostdomain: 'azurewebsites.net',
  routeprefix: 'api',
  functionname: 'fn',
};

describe('azure-functions', () => {
  it('says who the gateway is, whatever a client says', async () => {
    const sent: OutgoingRequest[] = [];
    const services = fakeServices({
      via: '2 kong/3.9.3',
      fetch: async (request) => {
        sent.push(request);
        return new OwnResponse(201, 'made', { 'transfer-encoding': 'chunked', via: '1.1 azure', 'x-a': 'b' });
      },
    });
    const headers = { 'X-Functions-Key': 'theirs', 'x-functions-clientid': 'theirs', connection: 'close', 'x-a': '1' };
    const hooks = azureFunctions.compile({ ...CONFIG, apikey: 'ours', routeprefix: null }, EVERYWHERE, services);
    const answer = await hooks.access?.(fakeRequest({ method: 'POST', target: '/x?a=1', headers, body: 'hello' }));
    expect(sent).toMatchObject([{ url: 'https://app.azurewebsites.net/fn?a=1', method: 'POST', verify: true }]);
    expect(sent[0]?.headers).toEqual({ 'x-functions-key': 'ours', 'x-a': '1' });
    const { response } = answer === undefined ? expect.fail('no answer') : qualified(answer);
    expect([response.status, Object.fromEntries(response.headers)]).toEqual([
      201,
      { 'content-type': 'text/plain;charset=UTF-8', via: '1.1 azure, 2 kong/3.9.3', 'x-a': 'b' },
    ]);
  });

  it('answers 500 without a connection, and tells the log why', async () => {
    const log: string[] = [];
    const services = fakeServices({
      log: (_, message) => void log.push(message),
      fetch: async () => {
        throw new ServiceError('unreachable', 'POST https://app.azurewebsites.net: refused');
      },
    });
    const answer = await azureFunctions.compile(CONFIG, EVERYWHERE, services).access?.(fakeRequest());
    const { response } = answer === undefined ? expect.fail('no answer') : qualified(answer);
    expect([response.status, response.content]).toEqual([500, '{"message":"An unexpected error occurred"}']);
    expect(log).toEqual([
      expect.stringMatching(/plugin azure-functions \(.*\): POST https:\/\/app\.azurewebsites\.net: refused \(/),
    ]);
  });
});
