import { describe, expect, test, vi } from 'vitest';
import { Balancers } from '../../../edge-dp/balancer/balancers.ts';
import type { LazyTables } from '../../../edge-dp/config/lazy.ts';
import { splitPath } from '../../../edge-dp/config/split-path.ts';
import { FetchRequest } from '../../../edge-dp/http/fetch/request.ts';
import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import type { Arrival, RequestPath } from '../../../edge-dp/proxy/request-path.ts';
import { type ManifestSplit, placeInSplit, type SplitBy } from '../../../shared/bundle/split.ts';

const RELEASE = '5b1cf0de-58bd-4aa0-9d4c-3f38cf0a4a3c';
const VALUES = Array.from({ length: 50 }, (_, n) => `value-${n}`);
const [inside = ''] = VALUES.filter((value) => placeInSplit(RELEASE, value) < 50);
const [outside = ''] = VALUES.filter((value) => placeInSplit(RELEASE, value) >= 50);

const lazyOf = (name: string): LazyTables => ({ lookupAll: () => [{ id: name }] });

/** A path that says who it is, and by what it was asked. */
function named(name: string, claimant: () => Promise<string | null> = async () => null): RequestPath {
  const path: RequestPath = {
    update: () => path,
    onTrial: () => named(`${name} on trial`),
    plans: [],
    settle: () => undefined,
    balancers: Balancers.empty(),
    shownMetrics: { counts: false, upstreamHealth: false },
    explain: () => expect.fail('nothing to explain'),
    serverCertificate: (serverName) => ({ cert: `${name} ${serverName}`, key: null, alternative: null, missing: null }),
    beginTls: () => null,
    openSession: (_, serial) => expect.fail(`${name} was asked for a session of ${serial}`),
    finish: () => 0,
    clientIp: (_, { peerIp }) => peerIp ?? '',
    claimant,
    foresee: () => expect.fail('nothing to foresee'),
    handle: async (_request, _arrival, lazy, serial) =>
      new OwnResponse(200, `${name} ${serial} ${JSON.stringify(lazy.lookupAll('', ''))}`),
  };
  return path;
}

const NOBODY: Arrival = {
  peerIp: null,
  peerPort: null,
  localIp: null,
  localPort: null,
  scheme: 'http',
  sni: null,
  tls: null,
  edge: null,
  waitUntil: () => undefined,
};

function split(by: SplitBy, claimant?: () => Promise<string | null>) {
  const terms: ManifestSplit = {
    release: RELEASE,
    percent: 50,
    by,
    serial: 9,
    rest_serial: 4,
    config_hash: '',
    tables: {},
  };
  return splitPath(named('rest', claimant), { split: terms, path: named('release'), lazy: lazyOf('new') });
}

async function met(
  by: SplitBy,
  {
    arrival = {},
    headers = {},
    claimant,
  }: {
    readonly arrival?: Partial<Arrival>;
    readonly headers?: Record<string, string>;
    readonly claimant?: () => Promise<string | null>;
  },
): Promise<unknown> {
  const request = new FetchRequest(new Request('http://gateway/', { headers }), {
    version: '1.1',
    ownConnections: true,
  });
  const response = await split(by, claimant).handle(request, { ...NOBODY, ...arrival }, lazyOf('old'), 12);
  return response.content;
}

const RELEASED = 'release on trial 9 [{"id":"new"}]';
const REST = 'rest 4 [{"id":"old"}]';

describe('a request meets one of two configs, with its lookups, told by its serial', () => {
  test.each<[SplitBy, (value: string) => Parameters<typeof met>[1]]>([
    ['client_ip', (peerIp) => ({ arrival: { peerIp } })],
    ['colo', (colo) => ({ arrival: { edge: { colo } } })],
    ['header:x-user', (user) => ({ headers: { 'X-User': user } })],
    ['consumer', (consumer) => ({ claimant: async () => consumer })],
  ])('by %s', async (by, request) => {
    expect(await met(by, request(inside))).toBe(RELEASED);
    expect(await met(by, request(outside))).toBe(REST);
    // Without a value it is none of those that the release is tried on.
    expect(await met(by, request(''))).toBe(REST);
    expect(await met(by, {})).toBe(REST);
  });

  test('the one before, where the consumer cannot be looked up', async () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const claimant = () => Promise.reject(new Error('the shard cannot be had'));
    expect(await met('consumer', { claimant })).toBe(REST);
    expect(said).toHaveBeenCalledWith(`release ${RELEASE} is not tried on a request: the shard cannot be had`);
    said.mockRestore();
  });
});

test('certificates and sessions are those of the config before', () => {
  const path = split('client_ip');
  expect(path.serverCertificate('a.test')?.cert).toBe('rest a.test');
  const session = {
    ...NOBODY,
    peerIp: inside,
    protocol: 'tcp',
    localPort: 9000,
    serverName: null,
    proxied: null,
  } as const;
  expect(() => path.openSession(session, 12)).toThrow('rest was asked for a session of 4');
});
