import { expect, it } from 'vitest';
import { defaultMessage, errorResponse, negotiate, negotiatePage } from '../../../edge-dp/proxy/errors.ts';

const asking = (headers: Record<string, string>, version = '1.1') => ({ headers: new Headers(headers), version });

it.each([
  [null, 'json'],
  ['', 'json'],
  ['*/*', 'json'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'html'],
  ['text/*', 'plain'],
  ['application/*;q=0.9, text/plain;q=0.8', 'json'],
  ['text/plain;q=0.5, application/xml;q=0.501', 'xml'],
  ['text/plain, text/html', 'plain'],
  ['TEXT/HTML ; Q=1', 'html'],
  ['text/html;q=0, text/plain;q=0.1', 'plain'],
  // What there is no template of is answered in JSON, and its weight counts.
  ['image/png, text/html;q=0.5', 'json'],
  ['image/png;q=0.4, text/html;q=0.5', 'html'],
  ['application/grpc', 'empty'],
  ['application/grpc;q=0.1, text/html', 'html'],
  ['nonsense, text/html', 'html'],
])('answers errors for Accept %j in %s', (accept, format) => {
  expect(negotiate(asking(accept === null ? {} : { accept }))).toBe(format);
});

it('goes by the type of the request, then by error_default_type, for pages of requests without Accept', () => {
  const page = (headers: Record<string, string>) => negotiatePage(asking(headers), 'text/plain');
  expect(page({})).toBe('plain');
  expect(page({ 'content-type': 'application/xml; charset=utf-8' })).toBe('xml');
  expect(page({ 'content-type': 'application/xml', accept: 'text/html' })).toBe('html');
  expect(page({ 'content-type': 'application/grpc' })).toBe('json');
});

it('speaks gRPC over HTTP/2 only, and says no more than the status where nothing else is asked for', () => {
  const type = { 'content-type': 'application/grpc+proto' };
  expect(negotiate(asking(type))).toBe('json');
  expect(negotiate(asking(type, '2'))).toBe('grpc');
  expect(negotiatePage(asking({ ...type, accept: 'text/html' }, '2'), 'text/plain')).toBe('grpc');
  expect(negotiate(asking({ accept: 'application/grpc' }, '2'))).toBe('grpc');
  const error = { status: 404, message: 'no', requestId: '0' };
  expect(errorResponse('empty', error)).toMatchObject({ status: 404, content: null });
  expect(errorResponse('empty', error).headers.has('content-type')).toBe(false);
  const outcome = errorResponse('grpc', { ...error, message: '100 % größe' });
  expect(outcome).toMatchObject({ status: 404, content: null });
  expect(Object.fromEntries(outcome.headers)).toMatchObject({
    'content-type': 'application/grpc',
    'content-length': '0',
    'grpc-status': '5',
    'grpc-message': '100 %25 gr%C3%B6%C3%9Fe',
  });
});

it('lets no message become a part of the page it is told on', () => {
  const message = 'Nicht "so" \\ <script>alert(1)</script> & auch nicht\nso';
  const told = (format: 'json' | 'xml' | 'html') =>
    String(errorResponse(format, { status: 400, message, requestId: '0' }).content);
  expect(JSON.parse(told('json'))).toEqual({ message, request_id: '0' });
  for (const format of ['xml', 'html'] as const) {
    expect(told(format)).toContain('Nicht "so" \\ &lt;script&gt;alert(1)&lt;/script&gt; &amp; auch nicht\nso');
  }
});

it.each([
  [200, 0],
  [204, 0],
  [302, 2],
  [400, 3],
  [401, 16],
  [403, 7],
  [404, 5],
  [409, 6],
  [418, 3],
  [429, 8],
  [499, 1],
  [500, 13],
  [501, 12],
  [502, 13],
  [503, 14],
  [504, 4],
  [599, 13],
])('tells gRPC clients of a %i by outcome %i', (status, outcome) => {
  const { headers } = errorResponse('grpc', { status, message: 'm', requestId: '0' });
  expect(headers.get('grpc-status')).toBe(String(outcome));
});

it('has a message of its own for each status that Kong has one for, and one for all others', () => {
  const messages: Readonly<Record<number, string>> = {
    400: 'Bad request',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'Not found',
    405: 'Method not allowed',
    408: 'Request timeout',
    411: 'Length required',
    412: 'Precondition failed',
    413: 'Payload too large',
    414: 'URI too long',
    415: 'Unsupported media type',
    417: 'Expectation failed',
    429: 'Too many requests',
    494: 'Request header or cookie too large',
    500: 'An unexpected error occurred',
    502: 'An invalid response was received from the upstream server',
    503: 'The upstream server is currently unavailable',
    504: 'The upstream server is timing out',
    599: 'The upstream server responded with 599',
  };
  expect(Object.fromEntries(Object.keys(messages).map((status) => [status, defaultMessage(Number(status))]))).toEqual(
    messages,
  );
});
