import { describe, expect, it } from 'vitest';
import { Authors } from '../../../cp/admin/authors.ts';
import { loadSettings } from '../../../cp/settings/load.ts';

const { settings: defaults } = loadSettings({ environment: {} });
const authors = (changes: object = {}) => new Authors({ ...defaults, admin_user_header: 'X-User', ...changes });
const ask = (from: Authors, remoteAddress: string | undefined, headers: Record<string, string>) =>
  from.of({ remoteAddress, headers: new Headers(headers) });

describe('who is written down with a change', () => {
  it('is who a proxy names that is trusted, and nobody else', () => {
    const headers = { 'x-user': 'ada', 'x-real-ip': '198.51.100.7' };
    const trusting = authors({ trusted_ips: ['10.0.0.0/8'] });
    expect(ask(trusting, '::ffff:10.0.0.9', headers)).toMatchObject({ user: 'ada', address: '198.51.100.7' });
    expect(ask(trusting, '192.0.2.1', headers)).toMatchObject({ user: null, address: '192.0.2.1' });
    expect(ask(authors(), '10.0.0.9', headers)).toMatchObject({ user: null, address: '10.0.0.9' });
    expect(ask(trusting, '10.0.0.9', { 'x-real-ip': '<b>' })).toMatchObject({ user: null, address: '10.0.0.9' });
    const unset = authors({ trusted_ips: ['10.0.0.9'], admin_user_header: null });
    expect(ask(unset, '10.0.0.9', headers)).toMatchObject({ user: null, address: '198.51.100.7' });
    expect(ask(unset, undefined, headers)).toMatchObject({ user: null, address: null });
    trusting.renew({ ...defaults, trusted_ips: ['192.0.2.1'], admin_user_header: 'x-other' });
    expect(ask(trusting, '192.0.2.1', { ...headers, 'x-other': 'grace' })).toMatchObject({ user: 'grace' });
    expect(ask(trusting, '10.0.0.9', headers)).toMatchObject({ user: null, address: '10.0.0.9' });
  });

  it.each([
    ['Ada Lovelace <ada@corp.test>', 'Ada Lovelace <ada@corp.test>'],
    ['Jos\u00c3\u00a9', 'José'],
    ['Jos\u00e9', 'José'],
    ['a\u00e2\u0080\u00aeb', 'a b'],
    [`${'x'.repeat(10_000)}`, `${'x'.repeat(99)}…`],
    [`${'\u00f0\u009f\u0090\u0099'.repeat(120)}`, `${'\u{1f419}'.repeat(99)}…`],
    ['\u00ad', null],
    // Cut in the middle of a character, half of which no database takes.
    [`a${' '.repeat(998)}\u00f0\u009f\u0090\u0099`, 'a \ufffd'],
  ])('is told by name as a person reads it (%#)', (sent, told) => {
    expect(ask(authors({ trusted_ips: ['10.0.0.9'] }), '10.0.0.9', { 'x-user': sent }).user).toBe(told);
  });

  const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)';
  it.each([
    ['curl/8.5.0', 'curl/8.5.0'],
    ['holdfast config import', 'holdfast config import'],
    ['Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0', 'Firefox 131'],
    [`Mozilla/5.0 (X11; Linux x86_64) ${WEBKIT} HeadlessChrome/141.0.0.0 Safari/537.36`, 'Chrome 141'],
    [`Mozilla/5.0 (Windows NT 10.0) ${WEBKIT} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.1.2`, 'Edge 141'],
    [`Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15`, 'Safari 18'],
    ['Mozilla/4.0 (compatible)', 'Mozilla/4.0 (compatible)'],
    ['', null],
  ])('asked with a program by its name (%#)', (userAgent, told) => {
    expect(ask(authors(), '192.0.2.1', { 'user-agent': userAgent }).client).toBe(told);
  });
});
