import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { WireResponse } from '../../../edge-dp/hosts/node/http/wire-response.ts';

type Answer = typeof ServerResponse | typeof WireResponse;

interface Asked {
  readonly method?: string;
  readonly version?: '1.0' | '1.1';
  readonly status?: number;
  readonly lines: readonly string[];
  readonly keepAlive?: boolean;
}

/** What Node keeps of the head of an answer, or the code of the error it throws. */
function headBy(Class: Answer, { method = 'GET', version = '1.1', status = 200, lines, keepAlive = true }: Asked) {
  const request = new IncomingMessage(new Socket());
  request.method = method;
  request.httpVersionMajor = 1;
  request.httpVersionMinor = Number(version.slice(2));
  const answer = new Class(request);
  answer.sendDate = false;
  answer.shouldKeepAlive = keepAlive;
  try {
    answer.writeHead(status, 'Fine', [...lines]);
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  const kept = ['_header', '_headerSent', '_last', '_hasBody', 'shouldKeepAlive', 'chunkedEncoding', 'headersSent'];
  return Object.fromEntries(kept.map((name) => [name, Reflect.get(answer, name)]));
}

const KEPT = ['Connection', 'keep-alive'];
const LENGTH = ['Content-Length', '5'];

describe('the head of an answer', () => {
  const cases: Readonly<Record<string, Asked>> = {
    'with a length': { lines: ['Content-Type', 'text/plain', ...LENGTH, 'X-Kong-Upstream-Latency', '0', ...KEPT] },
    'names spelt otherwise': { lines: ['content-LENGTH', '5', 'connection', 'keep-alive'] },
    'lines of one name': { lines: [...LENGTH, 'Set-Cookie', 'a=1', 'set-cookie', 'b=2', ...KEPT] },
    'bytes beyond ASCII, a tab, an empty value': { lines: ['X', 'caf\xc3\xa9 \xff\t.', 'Y', '', ...LENGTH, ...KEPT] },
    'the last of its connection': { lines: [...LENGTH, 'Connection', 'close'], keepAlive: false },
    'the last, by its lines alone': { lines: [...LENGTH, 'Connection', 'close'] },
    'two lines of Connection': { lines: [...LENGTH, 'Connection', 'close', ...KEPT] },
    'Connection that says something else': { lines: [...LENGTH, 'Connection', 'Upgrade, close'] },
    'kept, though it was not to be': { lines: [...LENGTH, ...KEPT], keepAlive: false },
    'without Connection': { lines: LENGTH },
    'without a length': { lines: ['Content-Type', 'text/plain', ...KEPT] },
    'in chunks': { lines: ['Transfer-Encoding', 'chunked', ...KEPT] },
    'in chunks, with a length': { lines: [...LENGTH, 'Transfer-Encoding', 'chunked', ...KEPT] },
    'trailers without chunks': { lines: [...LENGTH, 'Trailer', 'X-Sum', ...KEPT] },
    'to HTTP/1.0': { version: '1.0', lines: [...LENGTH, ...KEPT] },
    'to HTTP/1.0, without a length': { version: '1.0', lines: KEPT },
    'to HEAD': { method: 'HEAD', lines: [...LENGTH, ...KEPT] },
    'of status 304': { status: 304, lines: [...LENGTH, ...KEPT] },
    'of status 204': { status: 204, lines: KEPT },
    'a line break in a value': { lines: ['X', 'a\r\nInjected: yes', ...LENGTH, ...KEPT] },
    'NUL in a value': { lines: ['X', 'a\0', ...LENGTH, ...KEPT] },
    'DEL in a value': { lines: ['X', 'a\x7f', ...LENGTH, ...KEPT] },
    'a character that would be cut to a line break': { lines: ['X', 'a\u010a', ...LENGTH, ...KEPT] },
    'a name that is none': { lines: ['X Y', 'a', ...LENGTH, ...KEPT] },
    'an empty name': { lines: ['', 'a', ...LENGTH, ...KEPT] },
    'a name with a line break': { lines: ['X\r\nY', 'a', ...LENGTH, ...KEPT] },
    'half a line': { lines: [...LENGTH, ...KEPT, 'X'] },
  };
  it.each(Object.entries(cases))('is as Node makes it: %s', (_, asked) => {
    expect(headBy(WireResponse, asked)).toEqual(headBy(ServerResponse, asked));
  });

  it('stays the last of its connection where something else made it that', () => {
    const answer = new WireResponse(new IncomingMessage(new Socket()));
    answer._last = true;
    answer.writeHead(200, 'Fine', [...LENGTH, ...KEPT]);
    expect(answer._last).toBe(true);
  });

  it('is asked for by Node under the name it is made by', () => {
    const asked: unknown[] = [];
    class Watched extends WireResponse {
      override _storeHeader(firstLine: string, lines: readonly string[]): void {
        asked.push(firstLine, lines);
      }
    }
    const lines = [...LENGTH, ...KEPT];
    new Watched(new IncomingMessage(new Socket())).writeHead(200, 'Fine', lines);
    expect(asked).toEqual(['HTTP/1.1 200 Fine\r\n', lines]);
  });
});
