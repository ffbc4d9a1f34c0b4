import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMiniflareHost } from '../../../../edge-dp/hosts/miniflare/host.ts';
import { startWorkerdHost } from '../../../../edge-dp/hosts/workerd/host.ts';
import { id, type ProxyNode, startProxyNode } from '../../proxy/node.ts';
import { type LogSink, startLogSink } from '../log-sink.ts';

const WORKER = fileURLToPath(new URL('./workers/impatient.ts', import.meta.url));
const QUEUE = { max_batch_size: 2, max_coalescing_delay: 0.05, initial_retry_delay: 0.2, max_retry_delay: 1 };
/** Fields of both plugins that rows have and these tests do not care for. */
const UNSET = { custom_fields_by_lua: null, logs_endpoint: null, http_response_header_for_traceid: null };
const PROPAGATION = { extract: null, inject: null, clear: null, default_format: 'w3c' };

describe.each([
  ['Miniflare', startMiniflareHost],
  ['workerd', startWorkerdHost],
] as const)('what could not be sent while a request lasted, on %s', (_, start) => {
  let node: ProxyNode;
  let collector: LogSink;
  let refusing: LogSink;

  beforeAll(async () => {
    [collector, refusing] = await Promise.all([startLogSink(), startLogSink()]);
    collector.answer = 503;
    refusing.answer = 500;
    const plugin = (n: number, name: string, to: LogSink, config: object, queue: object) => ({
      id: id(n),
      name,
      protocols: ['http'],
      route: { id: id(n < 20 ? 1 : 2) },
      config: {
        [name === 'http-log' ? 'http_endpoint' : 'traces_endpoint']: `http://127.0.0.1:${to.port}/${name}`,
        ...UNSET,
        ...config,
        queue,
      },
    });
    node = await startProxyNode(
      {
        routes: [
          { id: id(1), paths: ['/kept'], protocols: ['http'] },
          { id: id(2), paths: ['/lost'], protocols: ['http'] },
        ],
        plugins: [
          plugin(10, 'http-log', collector, { headers: { 'X-Key': 'k' } }, { ...QUEUE, max_retry_time: 600 }),
          plugin(
            11,
            'opentelemetry',
            collector,
            { sampling_rate: 1, propagation: PROPAGATION, header_type: 'preserve' },
            { ...QUEUE, max_batch_size: 200, max_retry_time: 600 },
          ),
          plugin(20, 'http-log', refusing, {}, { ...QUEUE, max_retry_time: 1 }),
        ],
      },
      { start, entry: WORKER, processes: 1, proxy: { tracing: { instrumentations: ['all'], samplingRate: 1 } } },
    );
  });
  afterAll(async () => {
    await node?.stop();
    await Promise.all([collector?.stop(), refusing?.stop()]);
  });

  const metrics = async () => (await fetch(`${node.statusUrl}/metrics`)).text();
  const ask = (path: string, what: string) => fetch(`${node.url}${path}`, { headers: { 'x-case': what } });

  it('is tried again without any request, also after the node was stopped, as one request that brings the same', async () => {
    for (const what of ['1', '2', '3']) expect((await ask('/kept', what)).status).toBe(503);
    await expect
      .poll(metrics, { timeout: 60_000, message: 'three log entries and the four spans of each to be in the outbox' })
      .toMatch(/^holdfast_outbox_entries 15$/m);
    await node.dataPlane.reload();
    const refused = collector.received.length;
    await expect
      .poll(() => collector.received.length, { timeout: 60_000, message: 'the outbox to try again' })
      .toBeGreaterThan(refused);
    collector.answer = 200;
    const from = collector.received.length;
    await expect
      .poll(metrics, { timeout: 60_000, message: 'the outbox to be empty' })
      .toMatch(/^holdfast_outbox_entries 0$/m);
    const taken = collector.received.slice(from);
    const logs = taken.filter(({ target }) => target === '/http-log');
    const entries: { request: { headers: Record<string, string> } }[] = logs.flatMap(({ text }) => JSON.parse(text));
    expect(entries.map(({ request }) => request.headers['x-case']).sort()).toEqual(['1', '2', '3']);
    for (const { headers } of logs) expect(headers).toMatchObject({ 'x-key': 'k', 'content-type': 'application/json' });
    const traces = taken.filter(({ target }) => target === '/opentelemetry');
    expect(traces.map(({ headers }) => headers['content-type'])).toContain('application/x-protobuf');
    expect(traces.map(({ text }) => text).join()).toContain('service.name');
  });

  it('is dropped when its time is over, counted and told', async () => {
    await ask('/lost', 'x');
    await expect
      .poll(metrics, { timeout: 60_000, message: 'the count of what was dropped' })
      .toMatch(
        /^holdfast_queue_entries_dropped_total\{queue="http-log http:\/\/127\.0\.0\.1:\d+\/http-log \w+",reason="not_taken"\} 1$/m,
      );
    // The runtime's output comes by another way than its metrics.
    const told = expect.poll(() => node.log.join('\n'), { timeout: 60_000, message: 'a line about what was dropped' });
    await told.toMatch(
      /outbox: 1 entries of queue http-log \S+ \w+ could not be sent and were dropped: .* answered 500/,
    );
  });
});
