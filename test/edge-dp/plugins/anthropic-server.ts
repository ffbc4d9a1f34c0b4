import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from '../../once.ts';

/** An answer of Anthropic's Messages API: three tokens in, four out. */
export const MESSAGE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [{ type: 'text', text: 'hello' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 3, output_tokens: 4 },
};
const LIMITED = { type: 'error', error: { type: 'rate_limit_error', message: 'slow down' } };

/** An event of its streams. */
export function messageEvent(type: string, data: object = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

/** The event that brings a piece of text. */
export function textEvent(text: string): string {
  return messageEvent('content_block_delta', { index: 0, delta: { type: 'text_delta', text } });
}

export interface AnthropicServer {
  readonly url: string;
  /** The bodies of all requests that were complete. */
  readonly asked: readonly string[];
  stop(): void;
}

/** As much of it as clients ask: a message, a rate limit for `too much`, nothing at all for `think long`, and streams, whose heads are sent before `stream` has them. */
export async function startAnthropic(stream: (response: ServerResponse) => void): Promise<AnthropicServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      asked.push(body);
      const json = { 'content-type': 'application/json' };
      if (body.includes('think long')) return;
      if (body.includes('too much')) return void response.writeHead(429, json).end(JSON.stringify(LIMITED));
      if (JSON.parse(body).stream !== true) return void response.writeHead(200, json).end(JSON.stringify(MESSAGE));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.flushHeaders();
      stream(response);
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
