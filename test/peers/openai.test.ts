import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type AnthropicServer,
  MESSAGE,
  messageEvent,
  startAnthropic,
  textEvent,
} from '../edge-dp/plugins/anthropic-server.ts';
import { proxyConfig } from '../edge-dp/plugins/llm-config.ts';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from '../edge-dp/proxy/gateway.ts';
import { peerExecutable } from './peer.ts';

const run = promisify(execFile);

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
let provider: AnthropicServer;

beforeAll(async () => {
  provider = await startAnthropic((stream) => {
    stream.write(messageEvent('message_start', { message: { ...MESSAGE, content: [] } }));
    stream.end(`${textEvent('one ')}${textEvent('two')}${messageEvent('message_stop')}`);
  });
});
afterAll(() => provider?.stop());

it.each(GATEWAY_HOSTS)(
  'OpenAI’s client for Python talks to Anthropic through the gateway on %s, unmodified',
  async (host) => {
    const config = proxyConfig({
      provider: 'anthropic',
      options: { anthropic_version: '2023-06-01', upstream_url: provider.url },
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
