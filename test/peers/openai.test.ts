import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AnthropicServer,
  MESSAGE,
  messageEvent,
  startAnthropic,
  textEvent,
} from '../edge-dp/plugins/anthropic-server.ts';
import { proxyConfig } from '../edge-dp/plugins/llm-config.ts';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from '../edge-dp/proxy/gateway.ts';
import { type OpenAiServer, startOpenAi } from './openai-server.ts';
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

/** What clients make of tools, asked for whole and in a stream, of embeddings and of an image. */
const MADE = {
  call: ['weather', { city: 'Ürümqi' }],
  told: 'it snows',
  streamed: { city: 'Ürümqi' },
  embedding: [0.25, -1],
  image: 'aGk=',
};

/** The same as openai_tools.py does, with OpenAI's client for JavaScript. */
async function withClient(url: string): Promise<unknown> {
  const client = new OpenAI({ baseURL: `${url}/chat`, apiKey: 'none', maxRetries: 0 });
  const kept = new OpenAI({ baseURL: `${url}/kept`, apiKey: 'none', maxRetries: 0 });
  const tools = [{ type: 'function' as const, function: { name: 'weather', parameters: { type: 'object' } } }];
  const question = { role: 'user' as const, content: 'how is it?' };
  const asked = await client.chat.completions.create({ model: 'm', messages: [question], tools });
  const message = asked.choices[0]?.message ?? expect.fail('no message');
  const [call] = message.tool_calls ?? [];
  if (call?.type !== 'function') expect.fail('no call of a tool');
  const result = { role: 'tool' as const, tool_call_id: call.id, content: 'snow' };
  const told = await client.chat.completions.create({ model: 'm', messages: [question, message, result], tools });
  let streamed = '';
  for await (const { choices } of await client.chat.completions.create({
    model: 'm',
    messages: [question],
    tools,
    stream: true,
  })) {
    for (const each of choices[0]?.delta.tool_calls ?? []) streamed += each.function?.arguments ?? '';
  }
  const { data } = await kept.embeddings.create({ model: 'm', input: 'text', encoding_format: 'float' });
  const image = await kept.images.generate({ model: 'm', prompt: 'a cat' });
  return {
    call: [call.function.name, JSON.parse(call.function.arguments)],
    told: told.choices[0]?.message.content,
    streamed: JSON.parse(streamed),
    embedding: data[0]?.embedding,
    image: image.data?.[0]?.b64_json,
  };
}

describe.each(GATEWAY_HOSTS)('OpenAI’s clients, unmodified, on %s', (host) => {
  let openai: OpenAiServer;
  let gateway: RunningGateway;

  beforeAll(async () => {
    openai = await startOpenAi();
    const config = (more: Parameters<typeof proxyConfig>[0]) =>
      proxyConfig({ auth: { header_name: 'Authorization', header_value: 'Bearer ours' }, ...more });
    const at = { provider: 'openai', options: { upstream_url: `${openai.url}/v1/chat/completions` } } as const;
    const whole = {
      provider: 'openai',
      route_type: 'preserve',
      options: { upstream_url: `${openai.url}/v1` },
    } as const;
    gateway = await startGateway({
      host,
      tables: {
        services: [{ id: id(1), protocol: 'http', host: '127.0.0.1', port: 9 }],
        routes: ['/chat', '/kept'].map((path, n) => ({
          id: id(101 + n),
          paths: [path],
          protocols: ['http'],
          service: { id: id(1) },
        })),
        plugins: [at, whole].map((given, n) => ({
          id: id(201 + n),
          name: 'ai-proxy',
          route: { id: id(101 + n) },
          config: config(given),
        })),
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    openai?.stop();
  });

  it('call tools, whole and in a stream, and get embeddings and images, for JavaScript', async () => {
    expect(await withClient(gateway.url)).toEqual(MADE);
  });

  it('do so for Python, each time with the gateway’s key in place of the client’s', async () => {
    const script = join(import.meta.dirname, 'openai_tools.py');
    const { stdout } = await run(peerExecutable('python'), [script, gateway.url], { timeout: 100_000 });
    expect(JSON.parse(stdout)).toEqual(MADE);
    expect(openai.asked.length).toBeGreaterThanOrEqual(5);
    for (const { headers } of openai.asked) expect(headers.authorization).toBe('Bearer ours');
  });
});
