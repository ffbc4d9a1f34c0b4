import { expect, test, vi } from 'vitest';

import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import { ResponseReply } from '../../../edge-dp/plugins/runtime/reply.ts';
import type { PluginRun } from '../../../edge-dp/plugins/runtime/run.ts';
import { ExchangeLog } from '../../../edge-dp/proxy/exchange-log.ts';
import { exit } from '../../../edge-dp/proxy/outcome.ts';
import { fakeRequest } from '../plugins/fakes.ts';

/** A request that is answered, before its plugins one that says whether it has something to log. */
function answered({ logs, others = {} }: { logs: boolean; others?: Record<string, unknown> }) {
  const lent: Promise<unknown>[] = [];
  const request = fakeRequest({}, (work) => void lent.push(work));
  const log = vi.fn();
  request.plugins = { logs: () => logs, log } as unknown as PluginRun;
  const exchanges = { open: 0 };
  const exchangeLog = new ExchangeLog(request, { exchanges, accessLog: null, telemetry: null, ...others });
  const response = new OwnResponse(200, 'ok');
  const reply = new ResponseReply(response, 'exit', () => undefined);
  expect(exchanges.open).toBe(1);
  exchangeLog.answered(exit(response), reply);
  const end = (): void => {
    for (const ended of response.listeners) ended({ aborted: false, clientLeft: false });
  };
  return { log, exchanges, response, lent, end };
}

test('has nobody follow an answer that no plugin has anything to log of', async () => {
  const { log, exchanges, response, lent } = answered({ logs: false });
  expect(response.listeners).toEqual([]);
  expect(exchanges.open).toBe(0);
  expect(log).not.toHaveBeenCalled();
  // Nothing is still to be done for it.
  await Promise.all(lent);
});

test.each([
  ['a plugin', { logs: true }],
  ['the access log', { logs: false, others: { accessLog: { write: vi.fn() } } }],
  ['telemetry', { logs: false, others: { telemetry: { record: vi.fn() } } }],
])('has it followed for %s, and logged once', async (_, given) => {
  const { log, exchanges, lent, end } = answered(given);
  expect(exchanges.open).toBe(1);
  end();
  end();
  expect(log).toHaveBeenCalledOnce();
  expect(exchanges.open).toBe(0);
  await Promise.all(lent);
});
