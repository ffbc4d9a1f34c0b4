import { generateKeyPairSync, verify } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { OwnResponse, streamSource } from '../../../edge-dp/http/messages.ts';
import aiProxy from '../../../edge-dp/plugins/ai-proxy.ts';
import { logProxied, modelCalls } from '../../../edge-dp/plugins/llm/analytics.ts';
import { destinationOf } from '../../../edge-dp/plugins/llm/destination.ts';
import { eventReader } from '../../../edge-dp/plugins/llm/event-stream.ts';
import { estimatedCompletionTokens, estimatedPromptTokens } from '../../../edge-dp/plugins/llm/usage.ts';
import { ResponseReply } from '../../../edge-dp/plugins/runtime/reply.ts';
import type { OutgoingRequest, Services } from '../../../edge-dp/plugins/runtime/services.ts';
import { signatureHeaders } from '../../../edge-dp/plugins/signature-v4.ts';
import { within } from '../../within.ts';
import { GATEWAY_HOSTS, type RunningGateway, startGateway } from '../proxy/gateway.ts';
import { type AnthropicServer, messageEvent, startAnthropic, textEvent } from './anthropic-server.ts';
import { exchangeOf } from './exchange-of.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';
import { proxyConfig } from './llm-config.ts';
import { logged } from './logged.ts';

type Config = Parameters<typeof proxyConfig>[0];
interface Answer {
  readonly status?: number;
  readonly type?: string;
  readonly body: string | readonly Uint8Array[];
}

const CHAT = { messages: [{ role: 'user', content: 'say hello' }] };

/** Sends a payload; gives what goes to the provider. */
async function send(config: Config, payload: unknown, services: Partial<Services> = {}, target = '/') {
  const hooks = aiProxy.compile(proxyConfig(config), EVERYWHERE, fakeServices(services));
  const request = fakeRequest({
    method: 'POST',
    target,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(payload),
  });
  const refused = await hooks.access?.(request);
  const sent = JSON.parse(new TextDecoder().decode((await request.body.read(1e7)) ?? undefined));
  return { hooks, request, refused, sent };
}

/** The same, and what the client gets of the provider's answer. */
async function exchange(config: Config, payload: unknown, { status = 200, type, body }: Answer) {
  const { hooks, request, refused } = await send(config, payload);
  expect(refused).toBeUndefined();
  const content = typeof body === 'string' ? new TextEncoder().encode(body) : streamSource(ReadableStream.from(body));
  const reply = new ResponseReply(
    new OwnResponse(status, content, type === undefined ? {} : { 'content-type': type }),
    'service',
    () => undefined,
  );
  await hooks.response?.(request, reply);
  const bytes = await reply.body.read(1e7);
  return { request, reply, text: new TextDecoder().decode(bytes ?? undefined) };
}

/** The data of server-sent events, JSON where it is. */
function eventsOf(text: string): readonly unknown[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => {
      const data = event.replace(/^data: /, '');
      return data === '[DONE]' ? data : JSON.parse(data);
    });
}

const said = (events: readonly unknown[]): string =>
  events.map((event) => Object(event).choices?.[0]?.delta?.content ?? Object(event).choices?.[0]?.text ?? '').join('');

/** Bytes cut so that characters, lines and events are broken everywhere. */
function pieces(bytes: Uint8Array, size: number): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.slice(i * size, (i + 1) * size));
}

const utf8 = (text: string) => new TextEncoder().encode(text);

/** A message of Amazon's event stream. */
function amazonMessage(type: string, body: unknown, more: Readonly<Record<string, string>> = {}): Uint8Array {
  const headers = Buffer.concat(
    Object.entries({ ':event-type': type, ...more }).flatMap(([each, text]) => {
      const [name, value] = [utf8(each), utf8(text)];
      return [Buffer.from([name.length]), name, Buffer.from([7, 0, value.length]), value];
    }),
  );
  const payload = utf8(JSON.stringify(body));
  const message = Buffer.alloc(16 + headers.length + payload.length);
  message.writeUInt32BE(message.length, 0);
  message.writeUInt32BE(headers.length, 4);
  headers.copy(message, 12);
  message.set(payload, 12 + headers.length);
  return message;
}

const json = (...lines: readonly unknown[]) => lines.map((line) => JSON.stringify(line)).join('\n');
const sse = (...events: readonly (readonly [string | null, unknown])[]) =>
  events
    .map(
      ([event, data]) =>
        `${event === null ? '' : `event: ${event}\r\n`}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\r\n\r\n`,
    )
    .join('');

/** Streams that say `héllo, 😀` in each provider's published shape, and what they cost. */
const STREAMS: readonly (readonly [string, Config, string, Uint8Array, readonly [number, number]])[] = [
  ...(['azure', 'mistral'] as const).map((provider) => {
    const options = provider === 'azure' ? { azure_instance: 'i', azure_deployment_id: 'd' } : {};
    const says = (content: string, more: object = {}) =>
      [null, { choices: [{ index: 0, delta: { content } }], ...more }] as const;
    const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
    const stream = utf8(sse(says('héllo'), says(', 😀'), says('', { usage }), [null, '[DONE]']));
    return [provider, { provider, options }, 'text/event-stream', stream, [5, 2]] as const;
  }),
  [
    'openai',
    { provider: 'openai' },
    'text/event-stream; charset=utf-8',
    utf8(
      `: a comment\n\n${sse([null, { choices: [{ index: 0, delta: { role: 'assistant', content: 'héllo' } }] }], [null, { choices: [{ index: 0, delta: { content: ', 😀' } }] }], [null, { choices: [], usage: { prompt_tokens: 5, completion_tokens: 2 } }], [null, '[DONE]'])}`,
    ),
    [5, 2],
  ],
  [
    'anthropic',
    { provider: 'anthropic', options: { anthropic_version: '2023-06-01' } },
    'text/event-stream',
    utf8(
      sse(
        [
          'message_start',
          {
            type: 'message_start',
            message: { id: 'm', role: 'assistant', usage: { input_tokens: 5, output_tokens: 1 } },
          },
        ],
        ['content_block_start', { type: 'content_block_start', content_block: { type: 'text', text: '' } }],
        ['ping', { type: 'ping' }],
        ['content_block_delta', { type: 'content_block_delta', delta: { type: 'text_delta', text: 'héllo' } }],
        ['content_block_delta', { type: 'content_block_delta', delta: { type: 'text_delta', text: ', 😀' } }],
        ['content_block_stop', { type: 'content_block_stop' }],
        ['message_delta', { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } }],
        ['message_stop', { type: 'message_stop' }],
      ),
    ),
    [5, 2],
  ],
  [
    'cohere',
    { provider: 'cohere' },
    'application/stream+json',
    utf8(
      json(
        { event_type: 'stream-start', generation_id: 'g' },
        { event_type: 'text-generation', text: 'héllo' },
        { event_type: 'text-generation', text: ', 😀' },
        { event_type: 'stream-end', response: { meta: { billed_units: { input_tokens: 5, output_tokens: 2 } } } },
      ),
    ),
    [5, 2],
  ],
  [
    'llama2 behind ollama',
    { provider: 'llama2', options: { llama2_format: 'ollama', upstream_url: 'http://ollama.test' } },
    'application/x-ndjson',
    utf8(
      json(
        { model: 'm', message: { role: 'assistant', content: 'héllo' }, done: false },
        { model: 'm', message: { role: 'assistant', content: ', 😀' }, done: false },
        { model: 'm', message: { role: 'assistant', content: '' }, done: true, prompt_eval_count: 5, eval_count: 2 },
      ),
    ),
    [5, 2],
  ],
  [
    'gemini',
    { provider: 'gemini' },
    'application/json; charset=UTF-8',
    utf8(
      `[${json({ candidates: [{ content: { role: 'model', parts: [{ text: 'héllo' }] } }] })}\n,\r\n${json({
        candidates: [{ content: { role: 'model', parts: [{ text: ', 😀' }] }, finishReason: 'STOP' }],
        usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 2 },
      })}\n]\n`,
    ),
    [5, 2],
  ],
  [
    'bedrock',
    {
      provider: 'bedrock',
      options: { bedrock: { aws_region: 'eu-west-1' } },
      auth: { aws_access_key_id: 'AKID', aws_secret_access_key: 'secret' },
    },
    'application/vnd.amazon.eventstream',
    Buffer.concat([
      amazonMessage('messageStart', { role: 'assistant' }),
      amazonMessage('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'héllo' } }),
      amazonMessage('contentBlockDelta', { contentBlockIndex: 0, delta: { text: ', 😀' } }),
      amazonMessage('contentBlockStop', { contentBlockIndex: 0 }),
      amazonMessage('messageStop', { stopReason: 'end_turn' }),
      amazonMessage('metadata', { usage: { inputTokens: 5, outputTokens: 2, totalTokens: 7 } }),
    ]),
    [5, 2],
  ],
  [
    'huggingface',
    { provider: 'huggingface' },
    'text/event-stream',
    utf8(
      sse(
        [null, { choices: [{ delta: { content: 'héllo' } }] }],
        [null, { choices: [{ delta: { content: ', 😀' } }] }],
        [null, '[DONE]'],
      ),
    ),
    // It does not say: two words of the prompt, nine characters of the answer.
    [4, 3],
  ],
];

/** The words that each provider's interface has for a chat of a system, a question, an answer and a question, and its answer. */
const [SYSTEM, FIRST, BACK, LAST] = ['be brief', 'say', 'what?', 'hello'] as const;
const OPENAI_TURNS = [
  { role: 'system', content: SYSTEM },
  { role: 'user', content: FIRST },
  { role: 'assistant', content: BACK },
  { role: 'user', content: LAST },
];
const OPENAI_CHAT = {
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'héllo' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
};
const OLLAMA_CHAT = {
  message: { role: 'assistant', content: 'héllo' },
  done: true,
  prompt_eval_count: 5,
  eval_count: 2,
};
const CHATS: readonly (readonly [string, Config, unknown, unknown])[] = [
  ['openai', { provider: 'openai' }, { messages: OPENAI_TURNS }, OPENAI_CHAT],
  [
    'azure',
    { provider: 'azure', options: { azure_instance: 'i', azure_deployment_id: 'd' } },
    { messages: OPENAI_TURNS },
    OPENAI_CHAT,
  ],
  ['mistral', { provider: 'mistral' }, { messages: OPENAI_TURNS }, OPENAI_CHAT],
  [
    'mistral behind ollama',
    { provider: 'mistral', options: { mistral_format: 'ollama' } },
    { messages: OPENAI_TURNS, options: {} },
    OLLAMA_CHAT,
  ],
  [
    'llama2',
    { provider: 'llama2', options: { llama2_format: 'raw', upstream_url: 'http://llama.test' } },
    { inputs: '<s>[INST] <<SYS>> be brief <</SYS>> say [/INST] what? </s> <s>[INST] hello [/INST]' },
    { data: [{ generated_text: '<s> [INST] hello [/INST] héllo' }] },
  ],
  [
    'llama2 behind ollama',
    { provider: 'llama2', options: { llama2_format: 'ollama', upstream_url: 'http://ollama.test' } },
    { messages: OPENAI_TURNS, options: {} },
    OLLAMA_CHAT,
  ],
  [
    'cohere',
    { provider: 'cohere' },
    {
      message: LAST,
      chat_history: [
        { role: 'USER', message: SYSTEM },
        { role: 'USER', message: FIRST },
        { role: 'CHATBOT', message: BACK },
      ],
    },
    { text: 'héllo', generation_id: 'g', meta: { billed_units: { input_tokens: 5, output_tokens: 2 } } },
  ],
  [
    'anthropic',
    { provider: 'anthropic', options: { anthropic_version: '2023-06-01' } },
    { system: SYSTEM, messages: OPENAI_TURNS.slice(1) },
    {
      model: 'claude',
      content: [{ type: 'text', text: 'héllo' }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 5, output_tokens: 2 },
    },
  ],
  [
    'gemini',
    { provider: 'gemini' },
    {
      systemInstruction: { parts: [{ text: SYSTEM }] },
      contents: [
        { role: 'user', parts: [{ text: FIRST }] },
        { role: 'model', parts: [{ text: BACK }] },
        { role: 'user', parts: [{ text: LAST }] },
      ],
    },
    {
      candidates: [{ content: { role: 'model', parts: [{ text: 'héllo' }] }, finishReason: 'STOP' }],
      usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 2, totalTokenCount: 7 },
    },
  ],
  [
    'bedrock',
    {
      provider: 'bedrock',
      options: { bedrock: { aws_region: 'eu-west-1' } },
      auth: { aws_access_key_id: 'a', aws_secret_access_key: 's' },
    },
    {
      system: [{ text: SYSTEM }],
      messages: [
        { role: 'user', content: [{ text: FIRST }] },
        { role: 'assistant', content: [{ text: BACK }] },
        { role: 'user', content: [{ text: LAST }] },
      ],
    },
    {
      output: { message: { role: 'assistant', content: [{ text: 'héllo' }] } },
      stopReason: 'end_turn',
      usage: { inputTokens: 5, outputTokens: 2, totalTokens: 7 },
    },
  ],
  ['huggingface', { provider: 'huggingface' }, { messages: OPENAI_TURNS }, OPENAI_CHAT],
];

/** Each provider's published answer to a text to be completed; Gemini and Bedrock complete none. */
const COMPLETIONS: readonly (readonly [string, Config, string, unknown])[] = [
  ['openai', { provider: 'openai' }, 'prompt', { object: 'text_completion', choices: [{ index: 0, text: 'héllo' }] }],
  [
    'azure',
    { provider: 'azure', options: { azure_instance: 'i', azure_deployment_id: 'd' } },
    'prompt',
    { object: 'text_completion', choices: [{ index: 0, text: 'héllo' }] },
  ],
  [
    'mistral',
    { provider: 'mistral', options: { mistral_format: 'ollama' } },
    'prompt',
    { response: 'héllo', done: true },
  ],
  [
    'llama2',
    { provider: 'llama2', options: { llama2_format: 'raw', upstream_url: 'http://llama.test' } },
    'inputs',
    { data: [{ generated_text: '<s> [INST] say [/INST] héllo' }] },
  ],
  [
    'llama2 behind ollama',
    { provider: 'llama2', options: { llama2_format: 'ollama', upstream_url: 'http://ollama.test' } },
    'prompt',
    { response: 'héllo' },
  ],
  ['cohere', { provider: 'cohere' }, 'prompt', { id: 'g', prompt: 'say', generations: [{ text: 'héllo' }] }],
  [
    'anthropic',
    { provider: 'anthropic', options: { anthropic_version: '2023-06-01' } },
    'prompt',
    { type: 'completion', completion: 'héllo', stop_reason: 'stop_sequence', model: 'claude' },
  ],
  ['huggingface', { provider: 'huggingface' }, 'inputs', [{ generated_text: 'héllo' }]],
];

/** Each provider's published stream of such an answer. */
const COMPLETION_STREAMS: readonly (readonly [string, Config, string, string])[] = [
  [
    'openai',
    { provider: 'openai' },
    'text/event-stream',
    sse([null, { choices: [{ text: 'héllo' }] }], [null, { choices: [{ text: ', 😀' }] }], [null, '[DONE]']),
  ],
  [
    'azure',
    { provider: 'azure', options: { azure_instance: 'i', azure_deployment_id: 'd' } },
    'text/event-stream',
    sse([null, { choices: [{ text: 'héllo' }] }], [null, { choices: [{ text: ', 😀' }] }], [null, '[DONE]']),
  ],
  [
    'mistral',
    { provider: 'mistral', options: { mistral_format: 'openai' } },
    'text/event-stream',
    sse([null, { choices: [{ text: 'héllo' }] }], [null, { choices: [{ text: ', 😀' }] }], [null, '[DONE]']),
  ],
  [
    'llama2 behind ollama',
    { provider: 'llama2', options: { llama2_format: 'ollama', upstream_url: 'http://ollama.test' } },
    'application/x-ndjson',
    json({ response: 'héllo', done: false }, { response: ', 😀', done: false }, { response: '', done: true }),
  ],
  [
    'cohere',
    { provider: 'cohere' },
    'application/stream+json',
    json(
      { event_type: 'text-generation', text: 'héllo' },
      { event_type: 'text-generation', text: ', 😀' },
      { event_type: 'stream-end', response: { meta: { billed_units: { input_tokens: 1, output_tokens: 2 } } } },
    ),
  ],
  [
    'huggingface',
    { provider: 'huggingface' },
    'text/event-stream',
    sse([null, { token: { text: 'héllo' } }], [null, { token: { text: ', 😀' } }], [null, '[DONE]']),
  ],
];

/** What providers say of too many requests. */
const LIMITS: readonly (readonly [Config['provider'], unknown])[] = [
  ['openai', { error: { message: 'Rate limit reached', type: 'requests', param: null, code: 'rate_limit_exceeded' } }],
  ['azure', { error: { code: '429', message: 'Requests have exceeded the call rate limit' } }],
  ['anthropic', { type: 'error', error: { type: 'rate_limit_error', message: 'slow down' } }],
  ['cohere', { message: 'You are using a Trial key' }],
  ['mistral', { object: 'error', message: 'Requests rate limit exceeded', type: 'rate_limited', code: '1300' }],
  ['llama2', { error: 'server busy' }],
  ['gemini', { error: { code: 429, message: 'Resource exhausted', status: 'RESOURCE_EXHAUSTED' } }],
  ['bedrock', { message: 'Too many requests' }],
  ['huggingface', { error: 'Rate limit reached' }],
];
const OPTIONS: Readonly<Partial<Record<Config['provider'], Partial<Config>>>> = {
  azure: { options: { azure_instance: 'i', azure_deployment_id: 'd' } },
  anthropic: { options: { anthropic_version: '2023-06-01' } },
  llama2: { options: { llama2_format: 'ollama', upstream_url: 'http://ollama.test' } },
  bedrock: {
    options: { bedrock: { aws_region: 'eu-west-1' } },
    auth: { aws_access_key_id: 'a', aws_secret_access_key: 's' },
  },
};

describe('ai-proxy', () => {
  it.each(CHATS)(
    'has %s chat in the words of its own interface, and gives its answer and what it took as OpenAI would',
    async (name, config, asked, body) => {
      const given = { messages: OPENAI_TURNS };
      const { sent } = await send(config, given);
      expect(sent).toMatchObject(Object(asked));
      const answer = { body: JSON.stringify(body), type: 'application/json' };
      const { reply, request, text } = await exchange(config, given, answer);
      expect(reply.status).toBe(200);
      const told = JSON.parse(text);
      expect(told).toMatchObject({
        object: 'chat.completion',
        // Kong leaves the role out there.
        choices: [{ index: 0, message: { content: 'héllo', ...(name !== 'huggingface' && { role: 'assistant' }) } }],
      });
      // Llama itself says nothing of tokens.
      if (name === 'llama2') return;
      expect(told.usage).toEqual(OPENAI_CHAT.usage);
      expect(logged(request)).toMatchObject({ ai: { proxy: { usage: OPENAI_CHAT.usage } } });
    },
  );

  it.each(COMPLETIONS)(
    'has %s complete a text of 100 KB, and gives its answer as OpenAI would',
    async (_, config, field, body) => {
      const prompt = `say é ${'x'.repeat(100 << 10)}`;
      const { request, text } = await exchange(
        { ...config, route_type: 'llm/v1/completions', max_request_body_size: 200_000 },
        { prompt },
        { body: JSON.stringify(body), type: 'application/json' },
      );
      const sent = JSON.parse(new TextDecoder().decode((await request.body.read(1e7)) ?? undefined));
      expect(sent[field]).toContain(prompt);
      const [choice] = JSON.parse(text).choices;
      expect(choice.text ?? choice.message.content).toBe('héllo');
    },
  );

  it.each(COMPLETION_STREAMS)(
    'streams a text that %s completes as OpenAI would, wherever its bytes are cut',
    async (_, config, type, stream) => {
      for (const size of [1, 1000]) {
        const body = pieces(utf8(stream), size);
        const { text } = await exchange(
          { ...config, route_type: 'llm/v1/completions' },
          { prompt: 'say', stream: true },
          { type, body },
        );
        const events = eventsOf(text);
        expect(events.map((event) => Object(event).choices?.[0]?.text ?? '').join('')).toBe('héllo, 😀');
        expect(events.at(-1)).toBe('[DONE]');
      }
    },
  );

  it('asks no provider for what could not be given to the client', async () => {
    const bedrock = OPTIONS.bedrock ?? {};
    const anthropic = OPTIONS.anthropic ?? {};
    const raw = { llama2_format: 'raw', upstream_url: 'http://llama.test' } as const;
    const text = { route_type: 'llm/v1/completions' } as const;
    const system = { messages: [{ role: 'system', content: 'be brief' }, ...CHAT.messages] };
    const parts = (...content: unknown[]) => ({
      messages: [...system.messages.slice(0, 1), { role: 'user', content }],
    });
    const unfit: readonly (readonly [unknown, string])[] = [
      [parts({ type: 'text' }), "message part type is 'text' but is missing .text block"],
      [
        parts({ type: 'image_url', image_url: 'https://images.test/a' }),
        "message part type is 'image_url' but is missing .image_url.url block",
      ],
      [parts({ type: 'video' }), "cannot transform part of type 'video' to Gemini format"],
      [
        parts({ type: 'text', text: 'hi' }, null),
        'message at position 2, part at position 2 does not match expected OpenAI format',
      ],
      [parts(), 'message at position 2 does not match expected array format'],
    ];
    const cases: readonly (readonly [Config, unknown, string])[] = [
      ...unfit.map(
        ([payload, why]) =>
          [{ provider: 'gemini' }, payload, `error transforming to gemini://llm/v1/chat: ${why}`] as const,
      ),
      [{ provider: 'gemini', ...text }, { prompt: 'say' }, 'no transformer for gemini://llm/v1/completions'],
      [
        { provider: 'bedrock', ...bedrock, ...text },
        { prompt: 'say' },
        'no transformer for bedrock://llm/v1/completions',
      ],
      [
        { provider: 'anthropic', ...anthropic, ...text },
        { prompt: 'say', stream: true },
        'no transformer available from format anthropic://stream/llm/v1/completions',
      ],
      [
        { provider: 'llama2', options: raw },
        { ...CHAT, stream: true },
        'no transformer available from format llama2://stream/llm/v1/chat',
      ],
      [
        { provider: 'gemini', name: 'gemini-1.0-pro' },
        system,
        "error transforming to gemini://llm/v1/chat: system prompts aren't supported on gemini-1.0 models",
      ],
      [
        { provider: 'bedrock', ...bedrock, name: 'amazon.titan-text' },
        system,
        "error transforming to bedrock://llm/v1/chat: system prompts are unsupported for model 'amazon.titan-text",
      ],
    ];
    for (const [config, payload, message] of cases) {
      const { refused, request } = await send(config, payload);
      expect(refused).toMatchObject({ status: 400, content: JSON.stringify({ error: { message } }) });
      expect(request.choice?.target ?? null).toBeNull();
    }
  });

  it.each(LIMITS)(
    'passes on what %s says of too many requests, with its status, and counts no tokens',
    async (provider, body) => {
      const answer = { status: 429, body: JSON.stringify(body), type: 'application/json' };
      for (const stream of [false, true]) {
        const { request, reply, text } = await exchange(
          { provider, ...OPTIONS[provider] },
          { ...CHAT, stream },
          answer,
        );
        expect([reply.status, JSON.parse(text)]).toEqual([429, body]);
        expect(logged(request)).not.toMatchObject({ ai: { proxy: { usage: { total_tokens: expect.any(Number) } } } });
      }
    },
  );

  it.each(STREAMS)(
    'ends no stream for %s that it breaks off, and counts what was said until then',
    async (_, config, type, bytes) => {
      const parts = pieces(bytes.slice(0, Math.floor(bytes.length / 2)), 16);
      const broken = ReadableStream.from(
        (async function* () {
          yield* parts;
          throw new Error('reset');
        })(),
      );
      const { hooks, request } = await send(config, { ...CHAT, stream: true });
      const response = new OwnResponse(200, streamSource(broken), { 'content-type': type });
      const reply = new ResponseReply(response, 'service', () => undefined);
      await hooks.response?.(request, reply);
      await expect(reply.body.read(1e7)).rejects.toThrow();
      // What was said until then is counted, by guess where the provider had not come to it.
      // Who logs before ai-proxy does, as zipkin, hears of it all the same.
      expect(modelCalls(request)).toMatchObject([{ completionTokens: expect.any(Number) }]);
      hooks.log?.(Object.assign(exchangeOf(200).exchange, { request }));
      expect(modelCalls(request)).toHaveLength(1);
      expect(logged(request)).toMatchObject({ ai: { proxy: { usage: { total_tokens: expect.any(Number) } } } });
    },
  );

  it.each(STREAMS)(
    'streams what %s says as OpenAI would, wherever its bytes are cut',
    async (_, config, type, bytes, cost) => {
      for (const size of [1, 7, 1000]) {
        const { request, reply, text } = await exchange(
          config,
          { ...CHAT, stream: true },
          { type, body: pieces(bytes, size) },
        );
        expect(reply.headers.get('content-type')).toBe('text/event-stream');
        const events = eventsOf(text);
        expect(said(events), text).toBe('héllo, 😀');
        expect(events.at(-1)).toBe('[DONE]');
        const usage = { prompt_tokens: cost[0], completion_tokens: cost[1], total_tokens: cost[0] + cost[1] };
        expect(logged(request)).toMatchObject({ ai: { proxy: { usage } } });
      }
    },
  );

  it.each(STREAMS.filter(([name]) => name === 'gemini' || name === 'bedrock'))(
    'leaves a stream of %s as it is for clients that speak as it does, who name the model, and counts what it took',
    async (name, config, type, bytes) => {
      const format = name === 'gemini' ? 'gemini' : 'bedrock';
      const native: Config = { ...config, name: null, llm_format: format };
      const [payload, path] =
        format === 'gemini'
          ? [{ contents: [{ parts: [{ text: 'say hello' }] }] }, '/v1beta/models/gem:streamGenerateContent']
          : [{ messages: [{ role: 'user', content: [{ text: 'say hello' }] }] }, '/model/an.x%3A0/converse-stream'];
      const { hooks, request, sent, refused } = await send(native, payload, {}, path);
      expect([refused, sent]).toEqual([undefined, payload]);
      expect(request.choice?.path ?? '').toMatch(/gem:streamGenerateContent$|an\.x%3A0\/converse-stream$/);
      const source = streamSource(ReadableStream.from(pieces(bytes, 7)));
      const reply = new ResponseReply(
        new OwnResponse(200, source, { 'content-type': type }),
        'service',
        () => undefined,
      );
      await hooks.response?.(request, reply);
      expect(Buffer.from((await reply.body.read(1e7)) ?? []).equals(bytes)).toBe(true);
      expect(logged(request)).toMatchObject({
        ai: {
          proxy: { usage: { prompt_tokens: 5, completion_tokens: 2 }, meta: { request_model: expect.any(String) } },
        },
      });
      const own = await send({ ...native, name: 'another' }, payload, {}, path);
      expect(own.refused).toMatchObject({ status: 400, content: expect.stringContaining('cannot use own model') });
    },
  );

  it('tells a client of a stream that it cannot read, and does not keep what never ends', async () => {
    const odd = await exchange(
      { provider: 'openai' },
      { ...CHAT, stream: true },
      { type: 'text/html', body: pieces(utf8('<p>oops'), 2) },
    );
    expect(eventsOf(odd.text)).toEqual([{ error: true, message: 'empty or unsupported transformer response' }]);
    const endless = { type: 'text/event-stream', body: Array.from({ length: 6 }, () => utf8('x'.repeat(1 << 20))) };
    await expect(exchange({ provider: 'openai' }, { ...CHAT, stream: true }, endless)).rejects.toThrow(/longer than/);
    const lines = { ...endless, body: Array.from({ length: 9 }, () => utf8(`data: ${'x'.repeat(1 << 19)}\n`)) };
    await expect(exchange({ provider: 'openai' }, { ...CHAT, stream: true }, lines)).rejects.toThrow(/longer than/);
  });

  it.each([
    ['text/event-stream', utf8(`data: "${'😀'.repeat(500_000)}"\r\n\r\ndata: 2\r\r`)],
    ['application/json', utf8(`[{"a":"${'\\\\\\"{]'.repeat(400_000)}"},{}]`)],
    [
      'application/vnd.amazon.eventstream',
      Buffer.concat([amazonMessage('x', 'y'.repeat(2_000_000)), amazonMessage('z', 1)]),
    ],
  ])('reads a long event that comes in small pieces as it would read it whole: %s', (type, bytes) => {
    const read = (size: number) => {
      const reader = eventReader(type);
      const all = pieces(bytes, size).flatMap((piece) => reader?.read(piece) ?? []);
      return [...all, ...(reader?.end() ?? [])].map(({ data }) => data);
    };
    const whole = read(bytes.length);
    expect(whole.length).toBeGreaterThan(1);
    // In time that grows with its length.
    const [first, ...others] = read(61);
    expect(first === whole[0]).toBe(true);
    expect(others).toEqual(whole.slice(1));
  });

  it.each([
    [
      { provider: 'gemini' },
      {
        candidates: [
          { content: { parts: [{ text: 'hél' }, { text: 'lo' }, { functionCall: { name: 'f', args: {} } }] } },
        ],
      },
    ],
    [
      {
        provider: 'bedrock',
        options: { bedrock: { aws_region: 'r' } },
        auth: { aws_access_key_id: 'a', aws_secret_access_key: 's' },
      },
      {
        output: {
          message: {
            content: [
              { reasoningContent: { reasoningText: { text: 'hm' } } },
              { text: 'hél' },
              { text: 'lo' },
              { toolUse: { toolUseId: 'i', name: 'f', input: {} } },
            ],
          },
        },
      },
    ],
  ] as const)('gives all that an answer in several parts says: %j', async (config, answer) => {
    const { text } = await exchange(config, CHAT, { body: JSON.stringify(answer) });
    const { message } = JSON.parse(text).choices[0];
    expect(message).toMatchObject({ content: 'héllo', tool_calls: [{ function: { name: 'f' } }] });
  });

  it.each([
    [
      { provider: 'anthropic', options: { anthropic_version: 'v' } },
      'text/event-stream',
      utf8(`${messageEvent('error', { error: { type: 'overloaded_error', message: 'full' } })}`),
      { type: 'overloaded_error' },
    ],
    [
      {
        provider: 'bedrock',
        options: { bedrock: { aws_region: 'r' } },
        auth: { aws_access_key_id: 'a', aws_secret_access_key: 's' },
      },
      'application/vnd.amazon.eventstream',
      amazonMessage(
        'x',
        { message: 'full' },
        { ':message-type': 'exception', ':exception-type': 'throttlingException' },
      ),
      { type: 'throttlingException' },
    ],
    [
      {
        provider: 'bedrock',
        options: { bedrock: { aws_region: 'r' } },
        auth: { aws_access_key_id: 'a', aws_secret_access_key: 's' },
      },
      'application/vnd.amazon.eventstream',
      amazonMessage('x', null, { ':message-type': 'error', ':error-code': 'Internal', ':error-message': 'full' }),
      { type: 'Internal' },
    ],
    [
      { provider: 'gemini' },
      'application/json',
      utf8('[{"error":{"code":503,"message":"full","status":"UNAVAILABLE"}}'),
      { type: 'UNAVAILABLE', code: 503 },
    ],
    [
      { provider: 'huggingface' },
      'text/event-stream',
      utf8('data: {"error":"full","error_type":"overloaded"}\n\n'),
      {},
    ],
  ] as const)('tells a client in the middle of a stream that it failed: %j', async (config, type, body, error) => {
    const { text } = await exchange(config, { ...CHAT, stream: true }, { type, body: [body] });
    expect(eventsOf(text)).toEqual([{ error: { message: 'full', param: null, code: null, ...error } }]);
  });

  it('gives all that an event in several parts says', async () => {
    const parts = [{ text: 'hél' }, { text: 'lo' }, { functionCall: { name: 'f', args: {} } }];
    const body = [utf8(JSON.stringify([{ candidates: [{ content: { parts } }] }]))];
    const { text } = await exchange(
      { provider: 'gemini' },
      { ...CHAT, stream: true },
      { type: 'application/json', body },
    );
    expect(eventsOf(text)[0]).toMatchObject({
      choices: [{ delta: { content: 'héllo', tool_calls: [{ function: { name: 'f' } }] } }],
    });
  });

  it('tells in the log what an answer took and cost', async () => {
    const answer = {
      model: 'm-2',
      choices: [{ message: { content: 'x' } }],
      usage: { prompt_tokens: 1000, completion_tokens: 20 },
    };
    const { request } = await exchange(
      {
        provider: 'openai',
        options: { input_cost: 2, output_cost: 50 },
        logging: { log_statistics: true, log_payloads: true },
      },
      CHAT,
      { type: 'application/json', body: JSON.stringify(answer) },
    );
    expect(logged(request)).toMatchObject({
      ai: {
        proxy: {
          meta: { plugin_id: EVERYWHERE.id, provider_name: 'openai', request_model: 'm', response_model: 'm-2' },
          usage: { prompt_tokens: 1000, completion_tokens: 20, total_tokens: 1020, cost: 0.003 },
          payload: { response: JSON.stringify(answer), request: expect.stringContaining('say hello') },
        },
      },
    });
  });

  it('logs what a stream said as the answer that it would have been', async () => {
    const chunks = [
      { delta: { content: 'héllo' } },
      { delta: { content: ', you' } },
      { delta: {}, finish_reason: 'stop' },
    ];
    const body = chunks.map((choice) => `data: ${JSON.stringify({ choices: [choice] })}\n\n`).join('');
    const { request } = await exchange(
      { provider: 'openai', logging: { log_statistics: true, log_payloads: true } },
      { ...CHAT, stream: true },
      { type: 'text/event-stream', body: pieces(utf8(`${body}data: [DONE]\n\n`), 9) },
    );
    const { payload, usage } = Object(logged(request).ai).proxy;
    expect(usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 3 });
    expect(JSON.parse(payload.response)).toEqual({
      choices: [
        { finish_reason: 'stop', index: 0, logprobs: null, message: { role: 'assistant', content: 'héllo, you' } },
      ],
      object: 'chat.completion',
      response: 'héllo, you',
      usage: { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 },
    });
  });

  it.each(['1e999', '1e300', '-5', '"7"', 'null'])(
    'leaves out of log and traces a count of tokens that is none: %s',
    async (count) => {
      const usage = `{"prompt_tokens": ${count}, "completion_tokens": 2}`;
      const { request } = await exchange({ provider: 'openai' }, CHAT, {
        type: 'application/json',
        body: `{"choices": [{"message": {"content": "x"}}], "usage": ${usage}}`,
      });
      // What it was asked has two words.
      expect(logged(request)).toMatchObject({ ai: { proxy: { usage: { prompt_tokens: 2, total_tokens: 4 } } } });
      expect(modelCalls(request)).toMatchObject([{ promptTokens: 2, completionTokens: 2 }]);
    },
  );

  it('tells what a token took to the fraction', () => {
    const request = fakeRequest();
    const { model } = proxyConfig({ provider: 'openai' });
    const usage = { prompt: 3, completion: 2 };
    logProxied(request, 'p', { operation: 'llm/v1/chat', model, answeredBy: 'm', usage, took: 31, payloads: null });
    expect(logged(request)).toMatchObject({ ai: { proxy: { usage: { time_per_token: 15.5 } } } });
  });

  it('takes a word for a token, or for 1.8 in a stream, where a provider does not say', () => {
    const messages = [{ content: 'one two' }, { content: [{ text: 'three' }, { image: 'none' }] }];
    expect([false, true].map((stream) => estimatedPromptTokens({ messages }, stream))).toEqual([3, 5]);
    expect(estimatedPromptTokens({ prompt: '  a\tb\n' }, false)).toBe(2);
    expect([0, 1, 4, 5].map(estimatedCompletionTokens)).toEqual([0, 1, 1, 2]);
  });

  it('finds each provider, and what its options say of the way', () => {
    const to = (config: Config, asked: Partial<Parameters<typeof destinationOf>[1]> = {}) => {
      const { model, route_type: route } = proxyConfig(config);
      const { scheme, host, port, path } = destinationOf(model, { route, streaming: false, path: '/own', ...asked });
      return `${scheme}://${host}:${port}${path}`;
    };
    expect(to({ provider: 'openai' })).toBe('https://api.openai.com:443/v1/chat/completions');
    expect(to({ provider: 'openai', route_type: 'llm/v1/completions' })).toBe(
      'https://api.openai.com:443/v1/completions',
    );
    expect(to({ provider: 'openai', route_type: 'preserve' })).toBe('https://api.openai.com:443/own');
    expect(to({ provider: 'openai', options: { upstream_path: 'x/y' } })).toBe('https://api.openai.com:443/x/y');
    expect(to({ provider: 'openai', options: { upstream_url: 'http://a.test:81/p' } })).toBe('http://a.test:81/p');
    const azure = { azure_instance: 'in', azure_deployment_id: 'de' };
    expect(to({ provider: 'azure', options: azure })).toBe(
      'https://in.openai.azure.com:443/openai/deployments/de/chat/completions',
    );
    expect(to({ provider: 'anthropic' })).toBe('https://api.anthropic.com:443/v1/messages');
    expect(to({ provider: 'cohere' })).toBe('https://api.cohere.com:443/v1/chat');
    expect(to({ provider: 'mistral' })).toBe('https://api.mistral.ai:443/v1/chat/completions');
    expect(to({ provider: 'huggingface', name: 'a/b' })).toBe(
      'https://api-inference.huggingface.co:443/models/a/b/v1/chat/completions',
    );
    expect(to({ provider: 'huggingface', name: 'a/b?c#d' })).toBe(
      'https://api-inference.huggingface.co:443/models/a/b%3Fc%23d/v1/chat/completions',
    );
    expect(to({ provider: 'gemini' }, { streaming: true })).toBe(
      'https://generativelanguage.googleapis.com:443/v1beta/models/m:streamGenerateContent',
    );
    const gemini = { api_endpoint: 'eu-aiplatform.googleapis.com', project_id: 'p', location_id: 'l' };
    expect(to({ provider: 'gemini', options: { gemini } })).toBe(
      'https://eu-aiplatform.googleapis.com:443/v1/projects/p/locations/l/publishers/google/models/m:generateContent',
    );
    const bedrock = { provider: 'bedrock', name: 'an.x:0', options: { bedrock: { aws_region: 'eu-west-1' } } } as const;
    expect(to(bedrock)).toBe('https://bedrock-runtime.eu-west-1.amazonaws.com:443/model/an.x%3A0/converse');
    expect(to(bedrock, { streaming: true })).toMatch(/converse-stream$/);
  });

  it('hands tools, pictures and their results on in the words of each provider', async () => {
    const chat = {
      messages: [
        { role: 'system', content: 'be brief' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'what is it' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
        {
          role: 'assistant',
          tool_calls: [{ id: 't1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
        },
        { role: 'tool', tool_call_id: 't1', content: '{"b":2}' },
      ],
      tools: [{ type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' } } }],
      max_tokens: 9,
    };
    const { sent: gemini } = await send({ provider: 'gemini' }, chat);
    expect(gemini).toMatchObject({
      systemInstruction: { parts: [{ text: 'be brief' }] },
      contents: [
        { role: 'user', parts: [{ text: 'what is it' }, { inlineData: { data: 'AAAA', mimeType: 'image/png' } }] },
        { role: 'function', parts: [{ function_call: { name: 'f', args: { a: 1 } } }] },
        { role: 'function', parts: [{ function_response: { name: 'f', response: { content: ['{"b":2}'] } } }] },
      ],
      tools: [{ function_declarations: [{ name: 'f' }] }],
      generationConfig: { maxOutputTokens: 9 },
    });
    const { sent: claude } = await send({ provider: 'anthropic' }, chat);
    expect(claude).toMatchObject({
      system: 'be brief',
      messages: [
        { role: 'user' },
        { role: 'assistant', content: [{ type: 'tool_use', id: 't1', name: 'f', input: { a: 1 } }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't1', content: '{"b":2}' }] },
      ],
      tools: [{ name: 'f', input_schema: { type: 'object' } }],
    });
    const keys = { aws_access_key_id: 'AKID', aws_secret_access_key: 's' };
    const { sent: converse, request } = await send(
      { provider: 'bedrock', options: { bedrock: { aws_region: 'eu-west-1' } }, auth: keys },
      chat,
    );
    expect(converse).toMatchObject({
      system: [{ text: 'be brief' }],
      messages: [
        { role: 'user' },
        { role: 'assistant', content: [{ toolUse: { toolUseId: 't1', name: 'f', input: { a: 1 } } }] },
        { role: 'user', content: [{ toolResult: { toolUseId: 't1', content: [{ json: { b: 2 } }] } }] },
      ],
      toolConfig: { tools: [{ toolSpec: { name: 'f', inputSchema: { json: { type: 'object' } } } }] },
      inferenceConfig: { maxTokens: 9 },
    });
    expect(request.headers.get('authorization')).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/eu-west-1\/bedrock\//,
    );
  });

  it('refuses what the configuration does not allow, before anything is sent', async () => {
    const refusal = async (config: Config, payload: unknown) => {
      const { refused, request } = await send(config, payload);
      expect(request.choice?.target ?? null).toBeNull();
      return refused;
    };
    const words = (message: string) => ({ status: 400, content: JSON.stringify({ error: { message } }) });
    expect(await refusal({ provider: 'openai' }, { ...CHAT, model: 'other' })).toMatchObject(
      words('cannot use own model - must be: m'),
    );
    expect(await refusal({ provider: 'openai' }, { ...CHAT, prompt: 'x' })).toMatchObject(
      words('request matches multiple LLM request formats'),
    );
    expect(await refusal({ provider: 'openai' }, { messages: [] })).toMatchObject(
      words("request body doesn't contain valid prompts"),
    );
    expect(
      await refusal({ provider: 'openai' }, { messages: [{ role: 'user', content: 'x'.repeat(9000) }] }),
    ).toMatchObject(words("request body doesn't contain valid prompts"));
    expect(await refusal({ provider: 'bedrock', options: { bedrock: { aws_region: 'r' } } }, CHAT)).toMatchObject({
      status: 500,
    });
  });

  it.each(['../../api/whoami-v2', 'a/../..', '..'])(
    'lets a client’s model lead nowhere else with the gateway’s credentials: %s',
    async (model) => {
      const { refused, request } = await send({ provider: 'huggingface', name: null }, { ...CHAT, model });
      expect(refused).toMatchObject({ status: 400 });
      expect(request.upstream.path).toBeNull();
      const aws = { aws_access_key_id: 'i', aws_secret_access_key: 's' };
      const bedrock = {
        provider: 'bedrock',
        name: null,
        options: { bedrock: { aws_region: 'r' } },
        auth: aws,
      } as const;
      const { path } = (await send(bedrock, { ...CHAT, model })).request.upstream;
      expect(path ?? '').not.toMatch(/\/\.\.(?:\/|$)/);
    },
  );

  it.each([
    { azure_instance: '$(headers.x-a)', azure_deployment_id: 'd' },
    { bedrock: { aws_region: '$(headers.x-a)' } },
    { azure_instance: 'i', azure_deployment_id: '$(headers.x-a)' },
    { gemini: { api_endpoint: 'e.test', project_id: 'p', location_id: '$(headers.x-a)' } },
    { upstream_url: 'https://e.test/a/$(headers.x-a)' },
    { upstream_url: 'https://e.test/a/$(query_params.x-a)' },
    { upstream_url: 'https://$(headers.x-a).e.test/a' },
    { gemini: { api_endpoint: '$(headers.x-a)-e.test', project_id: 'p', location_id: 'l' } },
  ])('lets what a client fills in lead nowhere else with the gateway’s credentials: %j', async (options) => {
    const provider = 'bedrock' in options ? 'bedrock' : 'gemini' in options ? 'gemini' : 'azure';
    const auth = { header_name: 'api-key', header_value: 'KEY', aws_access_key_id: 'i', aws_secret_access_key: 's' };
    const hooks = aiProxy.compile(proxyConfig({ provider, options, auth }), EVERYWHERE, fakeServices());
    const sent = async (filled: string) => {
      const headers = { 'content-type': 'application/json', 'x-a': filled };
      const target = `/?x-a=${encodeURIComponent(filled)}`;
      const request = fakeRequest({ method: 'POST', headers, target, body: JSON.stringify(CHAT) });
      const refused = await hooks.access?.(request);
      return { refused, target: request.upstream.target };
    };
    const { refused: none, target: usual } = await sent('eu-west-1.a');
    expect(none).toBeUndefined();
    const isHost = usual !== null && 'host' in usual && usual.host.includes('eu-west-1.a');
    const hosts = ['evil.test/', 'evil.test#', 'evil.test?', 'evil.test:81/', 'u@evil.test/'];
    for (const elsewhere of ['..', 'a/../../b', '%2E./b', 'a\\..\\b', '.\t./b', '.. ', ...(isHost ? hosts : [])]) {
      const { refused, target } = await sent(elsewhere);
      expect(refused, elsewhere).toMatchObject({ status: 400 });
      expect(target).toBeNull();
    }
  });

  it('does not hold a body that it passes on as it is, whatever its length', async () => {
    const hooks = aiProxy.compile(
      proxyConfig({ provider: 'openai', route_type: 'preserve' }),
      EVERYWHERE,
      fakeServices(),
    );
    const request = fakeRequest({ method: 'POST', target: '/v1/files', body: 'x'.repeat(20_000) });
    const read = vi.spyOn(request.body, 'read');
    expect(await hooks.access?.(request)).toBeUndefined();
    expect(read.mock.calls.filter(([limit]) => limit > 8192)).toEqual([]);
    expect(await request.body.read(1e6)).toHaveLength(20_000);
  });

  it('signs as the example in the documents of AWS', async () => {
    const key = {
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      sessionToken: null,
      region: 'us-east-1',
      service: 'service',
    };
    const request = { method: 'GET', host: 'example.amazonaws.com', path: '/', query: '', body: new Uint8Array() };
    const { Authorization } = await signatureHeaders(request, key, Date.UTC(2015, 7, 30, 12, 36, 0));
    expect(Authorization).toContain('Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31');
  });

  it('takes the region and the key of AWS, and the account of Google, of the node’s environment where the config has none', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const environment: Record<string, string> = {
      'aws-region': 'eu-west-3',
      'aws-access-key-id': 'AKOFNODE',
      'aws-secret-access-key': 's',
      'aws-session-token': 'tok',
      'gcp-service-account': JSON.stringify({ client_email: 'a', private_key: pem, token_uri: 'https://t.test/' }),
    };
    const services: Partial<Services> = {
      vaults: {
        async secret(reference) {
          const value = environment[reference.slice('{vault://env/'.length, -1)];
          return value === undefined ? { value: null, missing: 'unset' } : { value, missing: null };
        },
      },
      fetch: async () => new OwnResponse(200, '{"access_token":"of the node","expires_in":3600}'),
    };
    const { request: bedrock } = await send({ provider: 'bedrock' }, CHAT, services);
    expect(bedrock.upstream.target).toMatchObject({ host: 'bedrock-runtime.eu-west-3.amazonaws.com' });
    expect(bedrock.headers.get('authorization')).toMatch(/Credential=AKOFNODE\/\d{8}\/eu-west-3\/bedrock\//);
    expect(bedrock.headers.get('x-amz-security-token')).toBe('tok');
    const account = { provider: 'gemini', auth: { gcp_use_service_account: true } } as const;
    const { request: gemini } = await send(account, CHAT, services);
    expect(gemini.headers.get('authorization')).toBe('Bearer of the node');

    environment['aws-region'] = '';
    delete environment['gcp-service-account'];
    for (const config of [{ provider: 'bedrock' }, account] as const)
      expect((await send(config, CHAT, services)).refused).toMatchObject({ status: 500 });
  });

  it('asks for the token of a service account once, and keeps its key to itself', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const account = JSON.stringify({ client_email: 'a@b.test', private_key: pem, token_uri: 'https://token.test/t' });
    const asked: OutgoingRequest[] = [];
    const fetch: Services['fetch'] = async (request) => {
      asked.push(request);
      return new OwnResponse(200, '{"access_token":"tok","expires_in":3600}');
    };
    const config = proxyConfig({
      provider: 'gemini',
      auth: { gcp_use_service_account: true, gcp_service_account_json: account },
    });
    const hooks = aiProxy.compile(config, EVERYWHERE, fakeServices({ fetch }));
    for (let i = 0; i < 2; i++) {
      const request = fakeRequest({ method: 'POST', body: JSON.stringify(CHAT) });
      expect(await hooks.access?.(request)).toBeUndefined();
      expect(request.headers.get('authorization')).toBe('Bearer tok');
    }
    expect(asked).toHaveLength(1);
    const assertion = new URLSearchParams(String(asked[0]?.body)).get('assertion') ?? '';
    const [head, claims, signature = ''] = assertion.split('.');
    expect(JSON.parse(Buffer.from(claims ?? '', 'base64url').toString())).toMatchObject({
      iss: 'a@b.test',
      aud: 'https://token.test/t',
    });
    const signed = Buffer.from(`${head}.${claims}`);
    expect(verify('sha256', signed, publicKey, Buffer.from(signature, 'base64url'))).toBe(true);
    const log = vi.fn();
    const broken = { gcp_use_service_account: true, gcp_service_account_json: 'no JSON: PRIVATE' };
    const { refused } = await send({ provider: 'gemini', auth: broken }, CHAT, { log });
    expect(refused).toMatchObject({ status: 500 });
    expect(JSON.stringify([log.mock.calls, refused])).toContain('auth.gcp_service_account_json is no JSON');
    expect(JSON.stringify([log.mock.calls, refused])).not.toContain('PRIVATE');
  });
});

describe.each(GATEWAY_HOSTS)('ai-proxy on the wire of %s', (host) => {
  const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  const streams: ServerResponse[] = [];
  let provider: AnthropicServer;
  let gateway: RunningGateway;

  beforeAll(async () => {
    provider = await startAnthropic((stream) => void streams.push(stream));
    const { port } = new URL(provider.url);
    const at = (url: string) =>
      proxyConfig({ provider: 'anthropic', options: { anthropic_version: '2023-06-01', upstream_url: url } });
    const rewriting = {
      prompt: 'turn it round',
      transformation_extract_pattern: null,
      http_timeout: 300,
      https_verify: true,
      max_request_body_size: 8192,
      http_proxy_host: null,
      http_proxy_port: null,
      https_proxy_host: null,
      https_proxy_port: null,
      llm: { ...at(provider.url), route_type: 'llm/v1/chat' },
    };
    const service = (n: number, more: object = {}) => ({
      id: id(n),
      name: `s${n}`,
      protocol: 'http',
      host: '127.0.0.1',
      port: 9,
      ...more,
    });
    const route = (n: number, path: string) => ({
      id: id(100 + n),
      paths: [path],
      protocols: ['http'],
      service: { id: id(n) },
    });
    const plugin = (n: number, name: string, config: object) => ({
      id: id(200 + n),
      name,
      route: { id: id(100 + n) },
      config,
    });
    gateway = await startGateway({
      host,
      tables: {
        upstreams: [{ id: id(90), name: 'models.test' }],
        targets: [`127.0.0.1:9`, `127.0.0.1:${port}`].map((target, n) => ({
          id: id(91 + n),
          upstream: { id: id(90) },
          target,
          weight: 100,
        })),
        services: [service(1), service(2, { read_timeout: 300, retries: 2 }), service(3, { retries: 1 }), service(4)],
        routes: [route(1, '/'), route(2, '/impatient'), route(3, '/balanced'), route(4, '/rewritten')],
        plugins: [
          plugin(1, 'ai-proxy', at(provider.url)),
          plugin(2, 'ai-proxy', at(provider.url)),
          plugin(3, 'ai-proxy', at(`http://models.test:${port}`)),
          plugin(4, 'ai-request-transformer', rewriting),
        ],
      },
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    provider?.stop();
  });

  const ask = async (signal?: AbortSignal) => {
    const response = await fetch(gateway.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...CHAT, stream: true }),
      ...(signal && { signal }),
    });
    const upstream = streams.pop();
    if (upstream === undefined || response.body === null) expect.fail('no stream');
    return { reader: response.body.pipeThrough(new TextDecoderStream()).getReader(), upstream };
  };

  it('gives each event when it comes', async () => {
    const { reader, upstream } = await ask();
    for (const text of ['one', 'two']) {
      upstream.write(textEvent(text));
      expect(said(eventsOf((await reader.read()).value ?? ''))).toBe(text);
    }
    upstream.end(messageEvent('message_stop'));
    expect(eventsOf((await reader.read()).value ?? '')).toEqual(['[DONE]']);
    expect((await reader.read()).done).toBe(true);
  });

  describe("for OpenAI's own client, which is given another address and nothing else", () => {
    const client = () => new OpenAI({ baseURL: gateway.url, apiKey: 'none', maxRetries: 0 });
    const question = (content: string) => ({ model: '', messages: [{ role: 'user' as const, content }] });

    it('is a chat as of OpenAI, whoever answers it', async () => {
      const answer = await client().chat.completions.create(question('hi'));
      expect(answer).toMatchObject({
        object: 'chat.completion',
        choices: [{ index: 0, finish_reason: 'end_turn', message: { role: 'assistant', content: 'hello' } }],
        usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
      });
    });

    it('is a stream of it, part by part, to its end', async () => {
      const stream = await client().chat.completions.create({ ...question('hi'), stream: true });
      const upstream = streams.pop();
      if (upstream === undefined) expect.fail('no stream');
      for (const text of ['one ', 'two']) upstream.write(textEvent(text));
      upstream.end(messageEvent('message_stop'));
      let text = '';
      for await (const part of stream) text += part.choices[0]?.delta.content ?? '';
      expect(text).toBe('one two');
    });

    it('is the error of the provider’s rate limit, with its status', async () => {
      await expect(client().chat.completions.create(question('too much'))).rejects.toMatchObject({ status: 429 });
    });
  });

  const chat = async (path: string, content: string) => {
    const before = provider.asked.length;
    const response = await fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content }] }),
    });
    return { status: response.status, text: await response.text(), asked: provider.asked.slice(before) };
  };

  it('gives a model up that says nothing, and does not ask it again', async () => {
    const { status, text, asked } = await chat('/impatient', 'think long');
    expect([status, JSON.parse(text).message]).toEqual([504, 'The upstream server is timing out']);
    expect(asked).toHaveLength(1);
    // Another plugin's call of a model has its own patience.
    const rewritten = await chat('/rewritten', 'think long');
    expect([rewritten.status, rewritten.text]).toEqual([
      400,
      '{"error":{"message":"failed to introspect request with AI service: request to ai service failed"}}',
    ]);
    expect(rewritten.asked).toHaveLength(1);
  });

  it('asks the next target where one is not there, in the words of the provider, and gives the answer in the client’s', async () => {
    // workerd's own fetch does not tell a refused connection from a lost one until it has met it once.
    if (host === 'workerd') for (let n = 0; n < 8; n++) await chat('/balanced', 'hi');
    for (let n = 0; n < 6; n++) {
      const { status, text, asked } = await chat('/balanced', `question ${n}`);
      expect([status, JSON.parse(text).choices?.[0].message.content], text).toEqual([200, 'hello']);
      expect(asked.map((body) => JSON.parse(body))).toEqual([
        { model: 'm', stream: false, messages: [{ role: 'user', content: `question ${n}` }] },
      ]);
    }
  });

  it('asks a model for no more once its client has left', async () => {
    const client = new AbortController();
    const { reader, upstream } = await ask(client.signal);
    upstream.write(textEvent('one'));
    await reader.read();
    const left = new Promise<void>((resolve) => upstream.once('close', resolve));
    client.abort();
    await reader.read().catch(() => undefined);
    // Where nothing is written nobody notices.
    const writing = setInterval(() => upstream.write(textEvent('more')), 50);
    await within(left, 'the upstream to be let go of', 60_000).finally(() => clearInterval(writing));
    expect(upstream.writableFinished).toBe(false);
  });
});
