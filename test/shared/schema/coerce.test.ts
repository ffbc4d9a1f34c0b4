import { describe, expect, test } from 'vitest';
import { keyauthCredentials } from '../../../shared/entities/keyauth_credentials.ts';
import { plugins } from '../../../shared/entities/plugins.ts';
import { routes } from '../../../shared/entities/routes.ts';
import { services } from '../../../shared/entities/services.ts';
import { keyAuth } from '../../../shared/plugins/key-auth.ts';
import { coerceForm } from '../../../shared/schema/coerce.ts';

const form = (query: string): [string, string][] => [...new URLSearchParams(query)];

describe('form arguments become the input their schema expects', () => {
  test('numbers, booleans and null by the field’s type', () => {
    expect(coerceForm(services, form('name=1&port=8080&enabled=false&path=&retries=x'))).toEqual({
      name: '1',
      port: 8080,
      enabled: false,
      path: null,
      retries: 'x',
    });
    const long = `${'1'.repeat(1 << 20)}x`;
    expect(coerceForm(services, form(`port=1.5e1&retries=.5&connect_timeout=5.&read_timeout=${long}`))).toEqual({
      port: 15,
      retries: 0.5,
      connect_timeout: 5,
      read_timeout: long,
    });
  });

  test('lists from empty brackets, places, repetition and a single value', () => {
    expect(coerceForm(routes, form('paths[]=/a&paths[]=/b')).paths).toEqual(['/a', '/b']);
    expect(coerceForm(routes, form('paths[2]=/b&paths[1]=/a')).paths).toEqual(['/a', '/b']);
    expect(coerceForm(routes, form('paths=/a&paths=/b')).paths).toEqual(['/a', '/b']);
    expect(coerceForm(routes, form('paths=/a')).paths).toEqual(['/a']);
  });

  test('names, and places with gaps, are no list', () => {
    expect(coerceForm(routes, form('paths[2]=/b')).paths).toEqual({ 2: '/b' });
    expect(coerceForm(routes, form('paths[0]=/b')).paths).toEqual({ 0: '/b' });
    expect(coerceForm(routes, form('paths.a=/b')).paths).toEqual({ a: '/b' });
    expect(coerceForm(routes, form('sources.ip=::1')).sources).toEqual({ ip: '::1' });
  });

  test('nested records, maps of lists and references', () => {
    expect(coerceForm(routes, form('headers.x[]=1&headers[y.z][1]=2&service.id=abc'))).toEqual({
      headers: { x: ['1'], 'y.z': ['2'] },
      service: { id: 'abc' },
    });
    expect(coerceForm(routes, form('sources[1].ip=::1&sources[1].port=80&sources[2].port=81')).sources).toEqual([
      { ip: '::1', port: 80 },
      { port: 81 },
    ]);
  });

  test('a plugin’s config by the plugin’s schema', () => {
    expect(
      coerceForm(plugins, form('name=key-auth&config.key_names=k&config.hide_credentials=true&enabled=true'), keyAuth),
    ).toEqual({ name: 'key-auth', config: { key_names: ['k'], hide_credentials: true }, enabled: true });
  });

  test('aliases and ttl are read as the fields they stand for', () => {
    expect(coerceForm(services, form('url=http://a:1/b'))).toEqual({ url: 'http://a:1/b' });
    expect(coerceForm(keyauthCredentials, form('key=5&ttl=60'))).toEqual({ key: '5', ttl: 60 });
  });

  test('keys that name object internals are ordinary fields', () => {
    const input = coerceForm(services, form('__proto__.polluted=1&constructor=2'));
    expect(Object.keys(input)).toEqual(['__proto__', 'constructor']);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });
});
