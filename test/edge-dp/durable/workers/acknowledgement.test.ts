import { decodeProtectedHeader } from 'jose';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { Balancers } from '../../../../edge-dp/balancer/balancers.ts';
import type { CachedManifest } from '../../../../edge-dp/config/cache.ts';
import { Isolate } from '../../../../edge-dp/config/isolate.ts';
import type { NodeOwner, Report } from '../../../../edge-dp/config/node.ts';
import { clusterLink } from '../../../../edge-dp/durable/cluster-link.ts';
import type { LinkOwner } from '../../../../edge-dp/durable/link.ts';
import type { Env } from '../../../../edge-dp/env.ts';
import type { RequestPath } from '../../../../edge-dp/proxy/request-path.ts';
import type { ObjectName } from '../../../../shared/bundle/format.ts';
import type { ManifestMessage } from '../../../../shared/cluster/messages.ts';
import { BOX_SETTINGS } from './box-settings.ts';
import { signedConfig } from './signed-config.ts';

vi.mock('cloudflare:workers', () => ({
  DurableObject: class {
    readonly ctx: unknown;
    readonly env: unknown;
    constructor(ctx: unknown, env: unknown) {
      this.ctx = ctx;
      this.env = env;
    }
  },
}));

const turn = (
  (later: typeof setTimeout) => () =>
    new Promise<void>((resolve) => later(resolve, 0))
)(setTimeout);

// Time stands still: an isolate that is waited for has all it needs.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** What is not asked in these tests. */
function unasked(): never {
  throw new Error('not asked');
}

function anyPath(): RequestPath {
  return {
    update: anyPath,
    balancers: Balancers.empty(),
    explain: unasked,
    foresee: unasked,
    serverCertificate: () => null,
    beginTls: () => null,
    openSession: () => null,
    settle: () => undefined,
    plans: [],
    onTrial: () => unasked(),
    clientIp: () => '',
    claimant: async () => null,
    finish: () => 0,
    shownMetrics: { counts: false, upstreamHealth: false },
    handle: unasked,
  };
}

/** A KV namespace in memory. */
function memoryKv() {
  const kept = new Map<string, unknown>();
  return {
    get: async (key: string) => kept.get(key) ?? null,
    put: async (key: string, value: unknown) => void kept.set(key, value),
    list: async () => ({ keys: [], list_complete: true }),
    delete: async (key: string) => void kept.delete(key),
  };
}

/** What the link and the isolates ask of it. */
type Owner = Pick<LinkOwner, 'greeting' | 'receive'> &
  Pick<NodeOwner, 'news' | 'nextNews' | 'has' | 'answered' | 'proof'> & {
    heartbeat(): { readonly serial: number | null };
  };

const envOfNode = () => ({
  SETTINGS: BOX_SETTINGS,
  KV: memoryKv(),
  NODE: { fetch: async () => new Response(null, { status: 503 }) },
});

function ownerOf(isolate: Isolate, stored = new Map<string, unknown>()): Owner {
  const storage = {
    get: async (key: string) => stored.get(key),
    put: async (key: string, value: unknown) => void stored.set(key, value),
    getAlarm: async () => 1,
    setAlarm: async () => undefined,
  };
  const state = { storage, waitUntil: () => undefined, blockConcurrencyWhile: (work: () => unknown) => work() };
  // Only what the link uses of a Durable Object's state and bindings is there.
  return Reflect.construct(clusterLink(isolate), [state, envOfNode()]);
}

/** Lets promises go on until something is so. */
async function settled(what: string, isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns++) {
    if (turns > 20_000) expect.fail(`not so: ${what}`);
    await turn();
  }
}

test('a node says in its heartbeats that it has a change once every isolate that waited for news has taken it', async () => {
  const isolate = new Isolate({ createRequestPath: anyPath, plugins: {} });
  const owner = ownerOf(isolate);
  const told = () => owner.heartbeat().serial;
  owner.receive(await signedConfig(1, 'one'));
  await settled('the first config is told', () => told() === 1);

  const waiting = owner.nextNews(60_000, 'another', (await owner.news()).version);
  owner.receive(await signedConfig(2, 'two'));
  await settled('the owner has the second one', () => isolate.current.held?.live.serial === 2);
  await waiting;
  expect(told()).toBe(1);
  // A hello would say it, too.
  let greeted = false;
  void owner.greeting(null).then(() => {
    greeted = true;
  });
  for (let turns = 0; turns < 100; turns++) await turn();
  expect([told(), greeted]).toEqual([1, false]);

  owner.has('another', (await owner.news()).version);
  await settled('the second config is told', () => told() === 2 && greeted);
});

test('a change does not count as applied while an isolate may go by what it was told just before', async () => {
  const isolate = new Isolate({ createRequestPath: anyPath, plugins: {} });
  const owner = ownerOf(isolate);
  const told = () => owner.heartbeat().serial;
  owner.receive(await signedConfig(1, 'one'));
  await settled('the first config is told', () => told() === 1);

  const change = async (serial: number) => {
    owner.receive(await signedConfig(serial, `config ${serial}`));
    await settled('the owner has it', () => isolate.current.held?.live.serial === serial);
    for (let turns = 0; turns < 100; turns++) await turn();
  };
  owner.answered('another');
  await change(2);
  expect(told()).toBe(1);
  // Who has what was before does not wait for what comes next.
  await owner.nextNews(60_000, 'a third', 'the first');
  // It asks before it serves from now on.
  await vi.advanceTimersByTimeAsync(100);
  await settled('the second config is told', () => told() === 2);

  // One that asks meanwhile has to take it first, however long that takes.
  owner.answered('another');
  await change(3);
  owner.has('another', 'the second');
  await vi.advanceTimersByTimeAsync(1_000);
  expect(told()).toBe(2);
  owner.has('another', (await owner.news()).version);
  await settled('the third config is told', () => told() === 3);
});

test('a node that takes config again knows so also after a restart, and does not wait then as one that keeps failing', async () => {
  const stored = new Map<string, unknown>([['failures', 5]]);
  const owner = ownerOf(new Isolate({ createRequestPath: anyPath, plugins: {} }), stored);
  owner.receive(await signedConfig(1, 'one'));
  await settled('the failures are over in the storage', () => stored.get('failures') === 0);
});

test('a node that is asked twice at once for its first proof has one key, the one it keeps', async () => {
  const stored = new Map<string, unknown>();
  const isolate = new Isolate({ createRequestPath: anyPath, plugins: {} });
  const owner = ownerOf(isolate, stored);
  const keyOf = (proof: string): unknown => decodeProtectedHeader(proof).jwk?.x;
  const [[hello], proof] = await Promise.all([owner.greeting('of the link'), owner.proof('nonce', 'of telemetry')]);
  if (hello?.type !== 'hello') expect.fail('no hello');
  const later = await ownerOf(isolate, stored).proof('nonce', 'after a restart');
  expect([keyOf(hello.proof ?? ''), keyOf(proof)]).toEqual([keyOf(later), keyOf(later)]);
});

/** An isolate of a box whose owner lives elsewhere, at a time that stands still. */
function followingIsolate() {
  const owner = {
    newest: null as CachedManifest | null,
    objects: new Map<string, string>(),
    questions: 0,
    /** Before it gives an object. */
    loading: Promise.resolve(),
    offer({ manifest, objects }: ManifestMessage) {
      owner.newest = { manifest, introductions: [] };
      for (const [name, base64] of Object.entries(objects)) owner.objects.set(name, base64);
    },
    heard: () => undefined,
    has: () => void owner.questions++,
    answered: () => undefined,
    nextNews: async () => undefined,
    news: async () => ({
      cluster: null,
      highestSerial: null,
      statements: [],
      newest: owner.newest,
      version: null,
    }),
    async object(name: ObjectName) {
      await owner.loading;
      return Uint8Array.from(atob(owner.objects.get(name) ?? ''), (character) => character.charCodeAt(0));
    },
    report: async (report: Report) => expect.fail(JSON.stringify(report)),
  };
  // Only what an isolate uses of its bindings is there.
  const env: Env = Object.assign(Object.create(null), envOfNode(), { OWNER: async () => owner });
  const isolate = new Isolate({ createRequestPath: anyPath, plugins: {} });
  const clock = vi.spyOn(Date, 'now').mockReturnValue(1_000_000);
  onTestFinished(() => clock.mockRestore());
  return {
    owner,
    isolate,
    clock,
    serves: async () => (await isolate.config(env, () => undefined)).serial,
  };
}

async function turns(count: number): Promise<void> {
  for (let made = 0; made < count; made++) await turn();
}

test('an isolate loads a change once, however long that takes, and requests that found it asleep wait for it', async () => {
  const { owner, clock, serves } = followingIsolate();
  await serves();
  await turns(20);
  const loading = Promise.withResolvers<void>();
  owner.loading = loading.promise;
  owner.offer(await signedConfig(1, 'loaded once'));
  owner.questions = 0;
  const served: (number | null)[] = [];
  for (let request = 1; request <= 20; request++) {
    clock.mockReturnValue(1_000_000 + request * 200);
    void serves().then((serial) => served.push(serial));
    await turns(20);
  }
  expect(owner.questions).toBe(1);
  // More than an owner gets that does not answer.
  await vi.advanceTimersByTimeAsync(600);
  expect(served).toEqual([]);
  loading.resolve();
  await settled('all are served', () => served.length === 20);
  expect(new Set(served)).toEqual(new Set([1]));
});

test('an isolate whose start took its time asks whether what it has is the newest before it serves', async () => {
  const { owner, clock, serves } = followingIsolate();
  const loading = Promise.withResolvers<void>();
  owner.loading = loading.promise;
  owner.offer(await signedConfig(1, 'at the start'));
  const served = serves();
  await turns(20);
  owner.offer(await signedConfig(2, 'after the start'));
  clock.mockReturnValue(1_000_200);
  loading.resolve();
  expect(await served).toBe(2);
});

test('a request that waits for secrets to be read again is not served by old config', async () => {
  const { owner, isolate, clock, serves } = followingIsolate();
  await serves();
  await turns(20);
  vi.spyOn(isolate.current, 'secretsDue', 'get').mockReturnValue(1_000_000);
  owner.offer(await signedConfig(1, 'while secrets are read'));
  clock.mockReturnValue(1_010_000);
  expect(await serves()).toBe(1);
});
