import { describe, expect, it } from 'vitest';
import { FieldList } from '../../../edge-dp/http/fields.ts';
import cors from '../../../edge-dp/plugins/cors.ts';
import { type CorsConfig, cors as schema } from '../../../shared/plugins/cors.ts';
import { compileRule } from '../../../shared/schema/rules.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from './fakes.ts';

const CONFIG: CorsConfig = {
  origins: null,
  headers: null,
  exposed_headers: null,
  methods: ['GET', 'POST'],
  max_age: null,
  credentials: false,
  private_network: false,
  preflight_continue: false,
};

/** What a preflight of that origin is told. */
async function preflight(config: Partial<CorsConfig>, origin: string) {
  const hooks = cors.compile({ ...CONFIG, ...config }, EVERYWHERE, fakeServices());
  const headers = { origin, 'access-control-request-method': 'POST' };
  const answer = await hooks.access?.(fakeRequest({ method: 'OPTIONS', headers }));
  if (answer === undefined || !('status' in answer)) throw new Error('no preflight');
  return Object.fromEntries(answer.headers);
}

describe('cors', () => {
  it.each([
    ['https://example.com.evil.test', null],
    ['https://evilexample.com', null],
    ['https://EXAMPLE.com', 'https://example.com'],
    ['https://example.com:443', 'https://example.com'],
    ['https://api.example.com', 'https://api.example.com'],
    ['null', null],
    ['https://example.com x', null],
    ['https://[::1]:8443', 'https://[::1]:8443'],
    ['https://münchen.test', null],
    ['https://path.test', 'https://path.test'],
  ])('matches whole origins only: %s', async (origin, allowed) => {
    const origins = ['https://example.com', '(.*[.])?example[.]com', 'https://\\[::1\\]:8443', 'https://path.test/'];
    expect((await preflight({ origins }, origin))['access-control-allow-origin'] ?? null).toBe(allowed);
  });

  it('never joins a wildcard with credentials, and names the origin in Vary where it matters', async () => {
    const told = await preflight({ credentials: true }, 'https://a.test');
    expect(told).toMatchObject({
      'access-control-allow-origin': 'https://a.test',
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    });
    expect(await preflight({}, 'https://a.test')).not.toHaveProperty('vary');
    expect(await preflight({ origins: ['https://a.test', 'https://b.test'] }, 'https://c.test')).toMatchObject({
      vary: 'Origin',
    });
  });

  it('runs every pattern the control plane takes, look-around too', async () => {
    const origins = ['https://(?!evil)\\w+\\.test', 'x'];
    expect(compileRule(schema.fields.config.fields.origins)(origins)).toBeUndefined();
    expect((await preflight({ origins }, 'https://good.test'))['access-control-allow-origin']).toBe(
      'https://good.test',
    );
    expect(await preflight({ origins }, 'https://evil.test')).not.toHaveProperty('access-control-allow-origin');
  });

  it('allows every method when config unsets them, none when it lists none', async () => {
    const told = async (methods: CorsConfig['methods']) =>
      (await preflight({ methods }, 'https://a.test'))['access-control-allow-methods'];
    expect(await told(null)).toBe('GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT');
    expect(await told(['GET', 'PUT'])).toBe('GET,PUT');
    expect(await told([])).toBe('');
  });

  it('leaves a preflight that is the service’s to answer as it is, and no other request', async () => {
    const hooks = cors.compile({ ...CONFIG, preflight_continue: true }, EVERYWHERE, fakeServices());
    const marked = async (more: Record<string, string>, method = 'OPTIONS') => {
      const request = fakeRequest({ method, headers: { origin: 'https://a.test', ...more } });
      expect(await hooks.access?.(request)).toBeUndefined();
      const reply = { status: 200, headers: FieldList.of({}), source: 'service' };
      await hooks.response?.(request, Object(reply));
      return Object.fromEntries(reply.headers);
    };
    expect(await marked({ 'access-control-request-method': 'GET' })).toEqual({});
    expect(await marked({})).toEqual({ 'access-control-allow-origin': '*' });
    expect(await marked({ 'access-control-request-method': 'GET' }, 'GET')).toEqual({
      'access-control-allow-origin': '*',
    });
  });

  it('adds a line to the Vary of the service, unless that says so already', async () => {
    const hooks = cors.compile({ ...CONFIG, origins: ['https://a.test'] }, EVERYWHERE, fakeServices());
    const told = async (vary: string) => {
      const reply = { status: 200, headers: FieldList.of({ vary }), source: 'service' };
      await hooks.response?.(fakeRequest(), Object(reply));
      return [...reply.headers.eachLine()].flatMap(([name, value]) => (name === 'vary' ? value : []));
    };
    expect(await told('Accept-Encoding')).toEqual(['Accept-Encoding', 'Origin']);
    expect(await told('Accept-Encoding, origin')).toEqual(['Accept-Encoding, origin']);
    expect(await told('*')).toEqual(['*']);
  });

  it('takes a wildcard among others for all origins, told apart from none', async () => {
    const config = { origins: ['https://a.test', '*'], credentials: true };
    expect(await preflight(config, 'https://a.test')).toMatchObject({
      'access-control-allow-origin': 'https://a.test',
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    });
    expect(await preflight({ origins: ['https://a.test', '*'] }, 'https://a.test')).toMatchObject({
      'access-control-allow-origin': '*',
      vary: 'Origin',
    });
  });

  it('tells of private networks who asks, where that is configured', async () => {
    const asked = async (private_network: boolean, value: string) => {
      const hooks = cors.compile({ ...CONFIG, private_network }, EVERYWHERE, fakeServices());
      const headers = {
        origin: 'https://a.test',
        'access-control-request-method': 'GET',
        'access-control-request-private-network': value,
      };
      const answer = await hooks.access?.(fakeRequest({ method: 'OPTIONS', headers }));
      if (answer === undefined || !('status' in answer)) throw new Error('no preflight');
      return answer.headers.get('access-control-allow-private-network');
    };
    expect([await asked(true, 'true'), await asked(true, 'false'), await asked(false, 'true')]).toEqual([
      'true',
      null,
      null,
    ]);
  });

  it('refuses a pattern that is none when config is applied', () => {
    expect(() => cors.compile({ ...CONFIG, origins: ['(', 'x'] }, EVERYWHERE, fakeServices())).toThrow(
      "'(' is not a valid regex",
    );
  });
});
