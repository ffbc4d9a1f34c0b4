import { expect, it } from 'vitest';
import { negotiate, negotiatePage } from '../../../edge-dp/proxy/errors.ts';

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
  ['application/grpc', 'json'],
  ['nonsense, text/html', 'html'],
])('answers errors for Accept %j in %s', (accept, format) => {
  expect(negotiate(accept)).toBe(format);
});

it('goes by the type of the request, then by error_default_type, for pages of requests without Accept', () => {
  const page = (headers: Record<string, string>) => negotiatePage(new Headers(headers), 'text/plain');
  expect(page({})).toBe('plain');
  expect(page({ 'content-type': 'application/xml; charset=utf-8' })).toBe('xml');
  expect(page({ 'content-type': 'application/xml', accept: 'text/html' })).toBe('html');
});
