import { describe, expect, test } from 'vitest';
import { normalizePath } from '../../../shared/normalize-path.ts';
import {
  hostError,
  ipOrCidrError,
  parseHost,
  routeHostError,
  sniError,
  wildcardHostError,
} from '../../../shared/schema/formats/host.ts';
import { pathError, routePathError } from '../../../shared/schema/formats/path.ts';
import {
  cookieNameError,
  headerNameError,
  nameError,
  tagError,
  urlError,
} from '../../../shared/schema/formats/text.ts';

describe('hosts', () => {
  test('names, addresses and ports are told apart', () => {
    expect(parseHost('a_b.example.com.')).toEqual({ type: 'name', host: 'a_b.example.com.' });
    expect(parseHost('example.com:65535')).toEqual({ type: 'name', host: 'example.com', port: 65535 });
    expect(parseHost('001.02.3.4:80')).toEqual({ type: 'ipv4', host: '1.2.3.4', port: 80 });
    expect(parseHost('::')).toEqual({ type: 'ipv6', host: '0000:0000:0000:0000:0000:0000:0000:0000' });
    expect(parseHost('[::1]:443')).toMatchObject({ type: 'ipv6', port: 443 });
  });

  test.each([
    ['a-.com', 'invalid hostname: a-.com'],
    ['a..b', 'invalid hostname: a..b'],
    ['.a', 'invalid hostname: .a'],
    ['a:65536', 'invalid port number'],
    ['256.1.1.1', 'invalid ipv4 address: 256.1.1.1'],
    ['1.2.3', 'invalid ipv4 address: 1.2.3'],
    ['1::2::3', 'invalid ipv6 address: 1::2::3'],
    ['[::1]x', 'invalid ipv6 address'],
    ['g::1', 'invalid ipv6 address: g::1'],
    ['', 'invalid hostname: '],
  ])('%s: %s', (text, error) => {
    expect(parseHost(text)).toEqual({ error });
  });

  test('say in the words of each kind of field what is wrong', () => {
    expect(hostError('a:1')).toBe('must not have a port');
    expect(hostError('a b')).toBe('invalid value: a b');
    expect(sniError('1.2.3.4')).toBe('must not be an IP');
    expect(wildcardHostError('a*b')).toBe('wildcard must be leftmost or rightmost character');
    expect(wildcardHostError('*.a.*')).toBe('only one wildcard must be specified');
    expect(wildcardHostError('*.a.com')).toBeUndefined();
    expect(routeHostError('*.a.com:80')).toBeUndefined();
  });

  test.each(['10.0.0.1', '10.0.0.0/8', '::1', 'fe80::/10', '::ffff:1.2.3.4', '0.0.0.0/0'])(
    '%s is an address',
    (text) => {
      expect(ipOrCidrError(text)).toBeUndefined();
    },
  );

  test.each(['10.0.0.0/33', '::/129', '10.0.0', '10.0.0.0/', 'a/8', '1.2.3.4.5', '::1/x', '01.2.3.4', '::1.2.3.04'])(
    '%s is none',
    (text) => {
      expect(ipOrCidrError(text)).toBe(`invalid ip or cidr range: '${text}'`);
    },
  );
});

describe('paths', () => {
  test.each([
    ['/a/./b/../c', '/a/c'],
    ['/..', '/'],
    ['/a/..', '/'],
    ['/a/.', '/a/'],
    ['//a///b', '/a/b'],
    ['/%41%7e%2F%c3%a9', '/A~%2Fé'],
    ['/%2e/b', '/b'],
    ['/', '/'],
  ])('%s is normally %s', (path, normal) => {
    expect(normalizePath(path)).toBe(normal);
    expect(normalizePath(normal)).toBe(normal);
  });

  test('raw characters are accepted by routes and refused by services', () => {
    expect(routePathError('/a b')).toBeUndefined();
    expect(routePathError('/%20')).toBe("non-normalized path, consider use '/ ' instead");
    expect(pathError('/a b')).toContain('characters outside of the reserved list of RFC 3986 found');
    expect(pathError('/%4')).toBe("invalid url-encoded value: '%4'");
  });
});

describe('texts', () => {
  test('names and tags take letters of any script, and no separators', () => {
    expect(nameError('ünïcode-1.~_')).toBeUndefined();
    expect(nameError('a/b')).toContain("invalid value 'a/b'");
    expect(tagError('with space é!')).toBeUndefined();
    expect(tagError('a/b')).toContain("invalid tag 'a/b'");
    expect(tagError('é\ud800')).toBe('invalid utf-8 character sequence detected at position 3');
  });

  test('header and cookie names are tokens', () => {
    expect(headerNameError('X-A_1')).toBeUndefined();
    expect(headerNameError('a b')).toContain("bad header name 'a b'");
    expect(cookieNameError('a=b')).toContain('contains one or more invalid characters');
    expect(cookieNameError('')).toBe('no token provided');
  });

  test('URLs are absolute', () => {
    expect(urlError('https://u:p@example.com:1/a?b#c')).toBeUndefined();
    expect(urlError('example.com/a')).toBe('missing host in url');
    expect(urlError('//example.com/a')).toBe('missing scheme in url');
    for (const text of ['http://[', 'http://a:99999/', 'http://a b/', 'http://1.2.3.4.5/', 'http://%zz/'])
      expect(urlError(text), text).toBe('invalid host or port in url');
  });
});
