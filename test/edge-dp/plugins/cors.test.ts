import { describe, expect, it } from 'vitest';
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
  ])('matches whole origins only: %s', async (origin, allowed) => {
    const origins = ['https://example.com', '(.*[.])?example[.]com', 'https://\\[::1\\]:8443'];
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

  it('refuses a pattern that is none when config is applied', () => {
    expect(() => cors.compile({ ...CONFIG, origins: ['(', 'x'] }, EVERYWHERE, fakeServices())).toThrow(
      "'(' is not a valid regex",
    );
  });
});
