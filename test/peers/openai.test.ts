import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { proxyConfig } from '../edge-dp/plugins/llm-config.ts';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from '../edge-dp/proxy/gateway.ts';
import { once } from '../once.ts';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const event = (type: string, data: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;

const MESSAGE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [{ type: 'text', text: 'hello' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 3, output_tokens: 4 },
};
const LIMITED = { type: 'error', error: { type: 'rate_limit_error', message: 'slow down' } };

/** Anthropic's Messages API, as far as the client's three questions go. */
const provider = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (text: string) => {
    body += text;
  });
  request.on('end', () => {
    const json = { 'content-type': 'application/json' };
    if (body.includes('too much')) return void response.writeHead(429, json).end(JSON.stringify(LIMITED));
    if (JSON.parse(body).stream !== true) return void response.writeHead(200, json).end(JSON.stringify(MESSAGE));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(event('message_start', { message: { ...MESSAGE, content: [] } }));
    for (const text of ['one ', 'two'])
      response.write(event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }));
    response.end(event('message_stop', {}));
  });
});

beforeAll(async () => {
  provider.listen(0, '127.0.0.1');
  await once(provider, 'listening');
});
afterAll(() => {
  provider.closeAllConnections();
  provider.close();
});

it.each(GATEWAY_HOSTS)(
  'OpenAI’s client for Python talks to Anthropic through the gateway on %s, unmodified',
  async (host) => {
    const { port } = provider.address() as AddressInfo;
    const config = proxyConfig({
      provider: 'anthropic',
      options: { anthropic_version: '2023-06-01', upstream_url: `http://127.0.0.1:${port}` },
    });
    let gateway: RunningGateway | null = null;
    try {
      gateway = await startGateway({
        host,
        tables: {
          services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: 9 }],
          routes: [{ id: id(101), paths: ['/'], protocols: ['http'], service: { id: id(1) } }],
          plugins: [{ id: id(201), name: 'ai-proxy', config }],
        },
      });
      const script = join(import.meta.dirname, 'openai_client.py');
      const { stdout } = await run(peerExecutable('python'), [script, gateway.url], { timeout: 100_000 });
      expect(JSON.parse(stdout)).toEqual({ text: 'hello', tokens: 7, parts: ['one ', 'two'], refused: 429 });
    } finally {
      await gateway?.stop();
    }
  },
);
