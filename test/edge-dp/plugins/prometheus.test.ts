import { expect, it } from 'vitest';
import { MetricKeeper } from '../../../edge-dp/durable/metric-keeper.ts';
import { changeLogEntry } from '../../../edge-dp/plugins/log-entry.ts';
import prometheus from '../../../edge-dp/plugins/prometheus.ts';
import type { Metrics } from '../../../edge-dp/plugins/runtime/services.ts';
import { exchangeOf } from './exchange-of.ts';
import { EVERYWHERE, fakeServices } from './fakes.ts';

const OFF = {
  per_consumer: false,
  status_code_metrics: false,
  ai_metrics: false,
  latency_metrics: false,
  bandwidth_metrics: false,
  upstream_health_metrics: false,
};

it('follows no request to its end when it counts nothing', () => {
  const hooks = prometheus.compile(OFF, EVERYWHERE, fakeServices());
  expect(hooks.log).toBeUndefined();
  expect(prometheus.compile({ ...OFF, latency_metrics: true }, EVERYWHERE, fakeServices()).log).toBeDefined();
});

it('shows the health of targets as long as some configuration wants it', () => {
  const services = fakeServices();
  const shown = () => 'shown' in services.metrics && services.metrics.shown;
  const [one, two, other] = [true, true, false].map((upstream_health_metrics) =>
    prometheus.compile({ ...OFF, upstream_health_metrics }, EVERYWHERE, services),
  );
  expect(shown()).toEqual({ counts: true, upstreamHealth: true });
  one?.close?.();
  one?.close?.();
  expect(shown()).toEqual({ counts: true, upstreamHealth: true });
  two?.close?.();
  expect(shown()).toEqual({ counts: true, upstreamHealth: false });
  other?.close?.();
  expect(shown()).toEqual({ counts: false, upstreamHealth: false });
});

it('keeps a bounded number of label sets, says what it leaves out, and goes on counting those it has', () => {
  const warnings: string[] = [];
  const keeper = new MetricKeeper((message) => void warnings.push(message));
  const add = (labels: string) => keeper.answer({ does: 'add', samples: { family: [[labels, [1]]] } });
  for (let n = 0; n < 50_010; n++) add(`consumer="${n}"`);
  add('consumer="0"');
  add(`consumer="${'x'.repeat(3_000)}"`);
  const all = keeper.answer({ does: 'show' });
  if (!('samples' in all)) throw new Error('no samples');
  expect(all.samples.family).toHaveLength(50_000);
  expect(all.samples.family?.[0]).toEqual(['consumer="0"', [2]]);
  expect(all.dropped).toBe(11);
  expect(warnings).toHaveLength(1);
});

it('counts what models cost, by consumer what is counted by consumer, and nothing without a route', () => {
  const counted: unknown[] = [];
  const metrics: Metrics = {
    count: (family, labels, amount) => void counted.push([family, labels, amount]),
    observe: (family, _, labels, value) => void counted.push([family, labels, value]),
    show: () => () => undefined,
  };
  const own = { ...OFF, ai_metrics: true, per_consumer: true, status_code_metrics: true };
  const hooks = prometheus.compile(own, EVERYWHERE, fakeServices({ metrics }));
  const { exchange } = exchangeOf(200);
  changeLogEntry(exchange.request, {
    path: 'ai.proxy',
    mode: 'set',
    value: {
      meta: { provider_name: 'openai', request_model: 'a"b', llm_latency: 700 },
      usage: { prompt_tokens: 10, completion_tokens: 0, total_tokens: 10, cost: 0.5 },
    },
  });
  hooks.log?.(exchange);
  expect(counted).toEqual([]);
  const row = { id: 'c', username: 'ada\\' };
  exchange.request.identity.authenticate({ ...row, custom_id: null, row }, { id: 'k', identifier: null });
  Object.assign(exchange.request, { route: { id: 'r', name: 'r', row: {} } });
  hooks.log?.(exchange);
  const model =
    'ai_provider="openai",ai_model="a\\"b",cache_status="",vector_db="",embeddings_provider="",embeddings_model=""';
  expect(counted).toEqual([
    ['kong_ai_llm_requests_total', `${model},workspace="default"`, 1],
    ['kong_ai_llm_cost_total', `${model},workspace="default"`, 0.5],
    ['kong_ai_llm_tokens_total', `${model},token_type="prompt_tokens",workspace="default"`, 10],
    ['kong_ai_llm_tokens_total', `${model},token_type="total_tokens",workspace="default"`, 10],
    ['kong_ai_llm_provider_latency_ms', `${model},workspace="default"`, 700],
    [
      'kong_http_requests_total',
      'service="",route="r",code="200",source="kong",workspace="default",consumer="ada\\\\"',
      1,
    ],
  ]);
});
