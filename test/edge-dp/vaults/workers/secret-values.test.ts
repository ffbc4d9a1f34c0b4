import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Env } from '../../../../edge-dp/env.ts';
import { secretStore } from '../../../../edge-dp/vaults/secret-store.ts';
import { SecretValues } from '../../../../edge-dp/vaults/secret-values.ts';
import { settingSecret } from '../../../../edge-dp/vaults/setting-secret.ts';
import { type SecretSource, sourceOf } from '../../../../edge-dp/vaults/sources.ts';
import { PROXY_SETTINGS } from '../../proxy-settings.ts';

const source = (text: string): SecretSource => {
  const found = sourceOf(text, new Map(), null);
  return typeof found === 'string' ? expect.fail(found) : found;
};

describe('what is known of secrets', () => {
  const variables = new Map<string, string>();
  let broken = false;
  let reads: string[] = [];
  const values = () =>
    new SecretValues({
      async read(names) {
        reads.push(...names);
        if (broken) throw new Error('the store is away');
        return new Map(variables);
      },
    });

  beforeEach(() => {
    vi.useFakeTimers({ now: 0 });
    variables.clear();
    broken = false;
    reads = [];
  });
  afterEach(() => void vi.useRealTimers());

  it('is good for the time its vault says, for ever without one, and the same object while it is the same', async () => {
    const [timed, lasting] = [source('{vault://env/a?ttl=10}'), source('{vault://env/a}')];
    const known = values();
    variables.set('A', 'one');
    await known.read([timed, lasting, timed]);
    expect(reads).toEqual(['A']);
    expect([known.due(timed), known.due(lasting)]).toEqual([10_000, Number.POSITIVE_INFINITY]);
    const first = known.get(timed);
    await known.read([timed]);
    expect(known.get(timed)).toBe(first);
    variables.set('A', 'two');
    await known.read([timed]);
    expect([known.get(timed).value, known.get(lasting).value]).toEqual(['two', 'one']);
  });

  it('stays good for a while when it can no longer be had, and is looked for again', async () => {
    const kept = source('{vault://env/a?ttl=10&neg_ttl=5&resurrect_ttl=20}');
    const known = values();
    variables.set('A', 'one');
    await known.read([kept]);
    vi.setSystemTime(10_000);
    broken = true;
    await known.read([kept]);
    expect([known.get(kept).value, known.due(kept)]).toEqual(['one', 15_000]);
    vi.setSystemTime(27_000);
    await known.read([kept]);
    expect([known.get(kept).value, known.due(kept)]).toEqual(['one', 30_000]);
    vi.setSystemTime(30_000);
    await known.read([kept]);
    expect(known.get(kept)).toEqual({ value: null, missing: "the node's secrets cannot be read: the store is away" });
    expect(known.due(kept)).toBe(35_000);
    broken = false;
    await known.read([kept]);
    expect(known.get(kept).value).toBe('one');
  });

  it('that there is none is looked at again after a minute unless the vault says otherwise', async () => {
    const [absent, soon] = [source('{vault://env/b}'), source('{vault://env/b/part?neg_ttl=2}')];
    const known = values();
    await known.read([absent, soon]);
    expect([known.due(absent), known.due(soon)]).toEqual([60_000, 2000]);
    expect(known.get(absent).missing).toBe('this node has no variable B');
    variables.set('B', '{"part":1}');
    await known.read([soon]);
    expect(known.get(soon).missing).toBe("B: the property 'part' of its value is no string");
  });
});

describe('a Worker without a host beside it', () => {
  const unused = <T extends object>(): T => Object.create(null);
  const env: Env = Object.assign(
    {
      SETTINGS: {
        node: {
          id: '',
          hostname: '',
          version: '',
          host: 'cloudflare' as const,
          group: '',
          labels: {},
          capabilities: [],
        },
        trustedKeys: [],
        controlPlanes: 0,
        cacheMode: 'off' as const,
        newsInterval: 100,
        vaultEnvPrefix: 'own-',
        proxy: { ...PROXY_SETTINGS, ports: { http: null, https: null } },
        status: { allowedHosts: [], loopback: true },
      },
      KV: unused<KVNamespace>(),
      NODE: unused<Fetcher>(),
    },
    {
      OWN_KEY: 'bound',
      STORED: { get: async () => 'of the store' },
      SPACE: { get: async () => 'of a KV namespace', put: async () => undefined },
    },
  );

  it('has its own bindings: texts and those of a Secrets Store', async () => {
    const found = await secretStore(env).read(['OWN_KEY', 'STORED', 'SPACE', 'SETTINGS', 'ABSENT']);
    expect(Object.fromEntries(found)).toEqual({ OWN_KEY: 'bound', STORED: 'of the store' });
  });

  it('may have a setting there', async () => {
    expect(await settingSecret(env, 'plain')).toBe('plain');
    expect(await settingSecret(env, '{vault://env/key}')).toBe('bound');
    await expect(settingSecret(env, '{vault://env/none}')).rejects.toThrow(
      '{vault://env/none} cannot be resolved: this node has no variable OWN_NONE',
    );
  });
});
