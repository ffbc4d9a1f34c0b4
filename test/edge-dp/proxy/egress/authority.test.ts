import { expect, it } from 'vitest';
import { authorityOf } from '../../../../edge-dp/proxy/egress/egress.ts';

it.each<[string, number, boolean, string]>([
  ['up.test', 80, false, 'up.test'],
  ['up.test', 443, true, 'up.test'],
  ['up.test', 443, false, 'up.test:443'],
  ['up.test', 80, true, 'up.test:80'],
  ['up.test', 8000, false, 'up.test:8000'],
  ['10.0.0.1', 80, false, '10.0.0.1'],
  ['::1', 80, false, '[::1]'],
  ['::1', 8000, true, '[::1]:8000'],
  ['[::1]', 443, true, '[::1]'],
  ['named.test:81', 8000, false, 'named.test:81'],
  ['[::1]:81', 80, false, '[::1]:81'],
])('the Host of requests to %s at %i (TLS: %s) is %s', (name, port, secure, expected) => {
  expect(authorityOf(name, port, secure)).toBe(expected);
});
