import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from '../once.ts';

/** One request that OpenAI's API got. */
interface Asked {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface OpenAiServer {
  readonly url: string;
  readonly asked: readonly Asked[];
  stop(): void;
}

const CALL = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Ürümqi"}' } };
const USAGE = { prompt_tokens: 5, completion_tokens: 6, total_tokens: 11 };
const CHAT = { id: 'chatcmpl-1', created: 1, model: 'gpt-x' };

/** The call of a tool as it is streamed, its arguments in two parts. */
const DELTAS = [
  {
    role: 'assistant',
    content: null,
    tool_calls: [{ ...CALL, index: 0, function: { name: 'weather', arguments: '' } }],
  },
  { tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] },
  { tool_calls: [{ index: 0, function: { arguments: '"Ürümqi"}' } }] },
];

/** As much of OpenAI's API as its clients ask here: a chat that calls a tool and, told its result, answers; embeddings; images. */
export async function startOpenAi(): Promise<OpenAiServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const path = String(request.url);
      asked.push({ path, headers: request.headers, body });
      if (JSON.parse(body).stream === true) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const event of events()) response.write(`data: ${event}\n\n`);
        return void response.end();
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer(path, body)));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

function answer(path: string, body: string): object {
  if (path.endsWith('/embeddings'))
    return {
      object: 'list',
      model: 'e',
      data: [{ object: 'embedding', index: 0, embedding: [0.25, -1] }],
      usage: USAGE,
    };
  if (path.endsWith('/images/generations')) return { created: 1, data: [{ b64_json: 'aGk=' }] };
  const [finish_reason, message] = body.includes('"tool"')
    ? ['stop', { role: 'assistant', content: 'it snows' }]
    : ['tool_calls', { role: 'assistant', content: null, tool_calls: [CALL] }];
  return { ...CHAT, object: 'chat.completion', choices: [{ index: 0, finish_reason, message }], usage: USAGE };
}

function* events(): Generator<string> {
  const chunk = (choices: readonly object[], more: object = {}) =>
    JSON.stringify({ ...CHAT, object: 'chat.completion.chunk', choices, ...more });
  for (const delta of DELTAS) yield chunk([{ index: 0, delta, finish_reason: null }]);
  yield chunk([{ index: 0, delta: {}, finish_reason: 'tool_calls' }]);
  yield chunk([], { usage: USAGE });
  yield '[DONE]';
}
