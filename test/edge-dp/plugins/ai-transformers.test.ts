import { describe, expect, it } from 'vitest';
import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import aiRequestTransformer from '../../../edge-dp/plugins/ai-request-transformer.ts';
import aiResponseTransformer from '../../../edge-dp/plugins/ai-response-transformer.ts';
import { noteAsked } from '../../../edge-dp/plugins/llm/analytics.ts';
import { qualified } from '../../../edge-dp/plugins/runtime/plugin.ts';
import { type OutgoingRequest, ServiceError, type Services } from '../../../edge-dp/plugins/runtime/services.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';
import { proxyConfig } from './llm-config.ts';
import { logged } from './logged.ts';

const { model, auth, logging } = proxyConfig({
  provider: 'openai',
  options: { upstream_url: 'http://model.test/v1?k=v' },
  auth: { header_name: 'Authorization', header_value: 'Bearer KEY' },
});
const CONFIG = {
  prompt: 'turn it round',
  transformation_extract_pattern: null,
  http_timeout: 60_000,
  https_verify: true,
  max_request_body_size: 8192,
  http_proxy_host: null,
  http_proxy_port: null,
  https_proxy_host: null,
  https_proxy_port: null,
  llm: { route_type: 'llm/v1/chat', model, auth, logging },
} as const;

const saying = (content: string) =>
  new OwnResponse(
    200,
    JSON.stringify({
      model: 'm',
      choices: [{ message: { content } }],
      usage: { prompt_tokens: 3, completion_tokens: 1 },
    }),
  );

/** A response plugin over an upstream and a model that say this. */
async function respond(said: string, config: Partial<Parameters<typeof aiResponseTransformer.compile>[0]> = {}) {
  const hooks = aiResponseTransformer.compile(
    { ...CONFIG, parse_llm_response_json_instructions: true, ...config },
    EVERYWHERE,
    fakeServices({ fetch: async () => saying(said) }),
  );
  const request = fakeRequest();
  const upstream = new OwnResponse(201, 'xyz', { 'content-type': 'text/plain', 'x-up': '1', 'content-length': '3' });
  upstream.headers.append('Set-Cookie', 'a=1');
  upstream.headers.append('Set-Cookie', 'b=2');
  request.headers.set('Accept-Encoding', 'gzip, br');
  request.headers.set('Range', 'bytes=0-1');
  request.forward = async () => {
    expect(request.headers.get('accept-encoding')).toBe('gzip');
    // A model is to see the whole answer.
    expect(request.headers.has('range')).toBe(false);
    return upstream;
  };
  const answer = await hooks.access?.(request);
  if (answer === undefined) expect.fail('no answer');
  const { response } = qualified(answer);
  const { content } = response;
  return { response, text: content instanceof Uint8Array ? new TextDecoder().decode(content) : String(content) };
}

describe('AI transformers', () => {
  it('shows a model the body, with credentials of its own, and the log what it took', async () => {
    const sent: OutgoingRequest[] = [];
    const fetch: Services['fetch'] = async (request) => {
      sent.push(request);
      return saying('Here: {"a":\n1} ok');
    };
    const hooks = aiRequestTransformer.compile(
      { ...CONFIG, transformation_extract_pattern: '\\{.*\\n.*\\}' },
      EVERYWHERE,
      fakeServices({ fetch }),
    );
    const request = fakeRequest({
      method: 'POST',
      headers: { authorization: 'mine', 'content-type': 'text/x' },
      body: 'é',
    });
    expect(await hooks.access?.(request)).toBeUndefined();
    expect(new TextDecoder().decode((await request.body.read(100)) ?? undefined)).toBe('{"a":\n1}');
    expect(request.headers.get('content-type')).toBe('text/x');
    expect(sent).toMatchObject([
      { url: 'http://model.test/v1?k=v', method: 'POST', timeout: 60_000, headers: { Authorization: 'Bearer KEY' } },
    ]);
    expect(JSON.parse(String(sent[0]?.body))).toMatchObject({
      messages: [
        { role: 'system', content: 'turn it round' },
        { role: 'user', content: 'é' },
      ],
    });
    const meta = { request_model: 'UNSPECIFIED', response_model: 'm', provider_name: 'openai' };
    expect(logged(request).ai).toMatchObject({
      'ai-request-transformer': { meta, usage: { total_tokens: 4 }, cache: {} },
    });
    expect(Object(logged(request).ai)['ai-request-transformer'].usage).not.toHaveProperty('cost');
    const long = fakeRequest({ method: 'POST', body: 'x'.repeat(9000) });
    expect(await hooks.access?.(long)).toMatchObject({ status: 413 });
  });

  it('asks by way of the proxy for the scheme of the model’s URL, as patient and as careful as it is told to be', async () => {
    const sent: OutgoingRequest[] = [];
    const fetch: Services['fetch'] = async (request) => {
      sent.push(request);
      return saying('x');
    };
    const plain = { http_proxy_host: 'plain.test', http_proxy_port: 3128 };
    const secure = { https_proxy_host: 'secure.test', https_proxy_port: 3129 };
    const { llm } = CONFIG;
    for (const upstream_url of ['http://model.test/v1', 'https://model.test/v1']) {
      const options = { ...(llm.model.options ?? expect.fail()), upstream_url };
      const asking = { ...llm, model: { ...llm.model, options } };
      const own = { ...CONFIG, ...plain, ...secure, http_timeout: 1_234, https_verify: false, llm: asking };
      const hooks = aiRequestTransformer.compile(own, EVERYWHERE, fakeServices({ fetch }));
      await hooks.access?.(fakeRequest({ method: 'POST', body: 'x' }));
    }
    const every = { timeout: 1_234, verify: false };
    expect(sent).toMatchObject([
      { ...every, proxy: 'http://plain.test:3128' },
      { ...every, proxy: 'http://secure.test:3129' },
    ]);
  });

  it('sends nothing on when the model is not there, and keeps why to the log', async () => {
    const lines: string[] = [];
    const fetch: Services['fetch'] = async () => {
      throw new ServiceError('unreachable', 'POST http://model.test: connection refused');
    };
    const services = fakeServices({ fetch, log: (_, line) => void lines.push(line) });
    const hooks = aiRequestTransformer.compile(CONFIG, EVERYWHERE, services);
    const answer = await hooks.access?.(fakeRequest({ method: 'POST', body: 'x' }));
    expect(answer).toMatchObject({
      status: 400,
      content: '{"error":{"message":"failed to introspect request with AI service: request to ai service failed"}}',
    });
    expect(lines).toEqual([
      expect.stringMatching(/plugin ai-request-transformer .*connection refused \(POST \/, client 127\.0\.0\.1\)$/),
    ]);
    // A model that cannot be told what to do is not asked either.
    const { llm } = CONFIG;
    const old = { ...llm, model: { ...llm.model, provider: 'gemini' as const, name: 'gemini-1.0-pro' } };
    const refused = aiRequestTransformer.compile({ ...CONFIG, llm: old }, EVERYWHERE, services);
    expect(await refused.access?.(fakeRequest({ method: 'POST', body: 'x' }))).toMatchObject({
      status: 400,
      content: expect.stringContaining('error transforming to gemini://llm/v1/chat: system prompts'),
    });
  });

  it('tells in the log which model ai-proxy asked', async () => {
    const hooks = aiResponseTransformer.compile(
      { ...CONFIG, parse_llm_response_json_instructions: false },
      EVERYWHERE,
      fakeServices({ fetch: async () => saying('cba') }),
    );
    const request = fakeRequest();
    request.forward = async () => new OwnResponse(200, 'abc');
    noteAsked(request, { ...model, name: 'another' });
    await hooks.access?.(request);
    expect(logged(request).ai).toMatchObject({ 'ai-response-transformer': { meta: { request_model: 'another' } } });
  });

  it('takes no text of a model that was stopped for it', async () => {
    const candidates = [{ finishReason: 'SAFETY', content: { parts: [{ text: 'half of it' }] } }];
    const fetch: Services['fetch'] = async () => new OwnResponse(200, JSON.stringify({ candidates }));
    const { llm } = CONFIG;
    const gemini = { ...llm, model: { ...llm.model, provider: 'gemini' as const } };
    const hooks = aiRequestTransformer.compile({ ...CONFIG, llm: gemini }, EVERYWHERE, fakeServices({ fetch }));
    expect(await hooks.access?.(fakeRequest({ method: 'POST', body: 'x' }))).toMatchObject({
      status: 400,
      content: expect.stringContaining('transformation generation candidate breached Gemini content safety'),
    });
  });

  it('gives the answer that a model says, as far as it is one', async () => {
    const all = await respond('{"status":209,"headers":{"X-Up":"2","content-length":"9","x-n":1},"body":"<a/>"}');
    expect(all.response.status).toBe(209);
    expect(all.text).toBe('<a/>');
    expect(all.response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    const headers = ['x-up', 'x-n', 'content-length', 'content-type'].map((name) => all.response.headers.get(name));
    expect(headers).toEqual(['2', '1', null, 'text/plain']);

    const whole = await respond('{"a":1}');
    expect([whole.response.status, whole.text]).toEqual([200, '{"a":1}']);

    // As lua-cjson reads it.
    const lines = await respond('{"status":210,"body":"one\n\ttwo\\"\u0001"}');
    expect([lines.response.status, lines.text]).toEqual([210, 'one\n\ttwo"\u0001']);
    const { text: refused } = await respond(' Sure! {"body":"x"}');
    expect(refused).toContain('AI backend: Expected value but found invalid token at character 2');

    for (const said of [
      'no JSON',
      '[1]',
      '{"body":"a\n}',
      '{"status":99}',
      '{"headers":{"x":"a\\r\\nb"}}',
      '{"headers":[]}',
    ]) {
      const { response, text } = await respond(said);
      expect(response.status, said).toBe(500);
      expect(text).toContain('failed to parse JSON response instructions from AI backend: ');
    }
    const plain = await respond('cba', { parse_llm_response_json_instructions: false });
    expect([plain.response.status, plain.text, plain.response.headers.get('x-up')]).toEqual([201, 'cba', '1']);
  });
});
