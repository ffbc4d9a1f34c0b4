import { expect, test } from 'vitest';

import { ColoCache } from '../../../edge-dp/config/colo-cache.ts';
import type { News } from '../../../edge-dp/config/node.ts';
import { SharedNews } from '../../../edge-dp/config/shared-news.ts';
import type { EdgeCache } from '../../../edge-dp/http/edge-cache.ts';
import { timelyCache } from '../../../edge-dp/http/timely-cache.ts';
import { CLOUDFLARE } from '../../bench/edge-scale/network.ts';
import { simulate } from '../../bench/edge-scale/simulate.ts';

const INTERVAL = 5_000;
const SEAL = btoa('s'.repeat(32));
const OTHER_SEAL = btoa('o'.repeat(32));
const V1 = `1.${'a'.repeat(64)}`;
const V2 = `2.${'b'.repeat(64)}`;

/** A colo with its cache, a clock, and the owner of the link, who counts questions. */
function colo() {
  const kept = new Map<string, Uint8Array>();
  const cache: EdgeCache = {
    get: async (key) => kept.get(key) ?? null,
    put: async (key, bytes) => void kept.set(key, bytes),
  };
  const world = { now: 1_000_000, newest: V1, asked: 0, kept, cache };
  const news = (version: string, seal = SEAL): News => ({
    cluster: 'c',
    highestSerial: Number(version.split('.')[0]),
    statements: [],
    newest: { manifest: `manifest ${version}`, introductions: [] },
    seal,
  });
  /** One that starts with the whole answer of the owner. */
  const isolate = ({ seal = SEAL as string | null, node = 'node', through = cache } = {}) => {
    const own = new ColoCache(through, node);
    if (seal !== null) own.unlock(seal);
    const sharing = new SharedNews({ colo: own, interval: INTERVAL, now: () => world.now, random: () => 0.5 });
    let held: string | null = V1;
    return {
      get held() {
        return held;
      },
      set held(version) {
        held = version;
      },
      async looks() {
        const before = world.asked;
        const answer = await sharing.ask(held, async (have) => {
          world.asked++;
          return have === world.newest ? null : news(world.newest, seal ?? SEAL);
        });
        const { news: told, known, holds } = answer;
        const asked = world.asked > before;
        if (told?.newest) held = told.newest.manifest.replace('manifest ', '');
        if (known && held !== null) await answer.share(held);
        return { asked, known, holds, told: told !== null };
      },
    };
  };
  return Object.assign(world, { isolate });
}

test('isolates of a colo ask the owner once in an interval, and all hear of a change within it', async () => {
  const here = colo();
  const isolates = Array.from({ length: 50 }, () => here.isolate());
  for (const each of isolates) await each.looks();
  expect(here.asked).toBe(1);
  here.newest = V2;
  here.now += 2_900;
  for (const each of isolates) expect(await each.looks()).toMatchObject({ asked: false, known: true });
  here.now += 200;
  for (const each of isolates) await each.looks();
  expect(here.asked).toBe(2);
  expect(isolates.map(({ held }) => held)).toEqual(isolates.map(() => V2));
  // What is left of its life, and half of the span over which isolates look again.
  expect(await isolates[0]?.looks()).toEqual({ asked: false, known: true, told: false, holds: 3_000 + 1_000 });
});

test('while one asks, the others wait a moment for what it hears; when nothing comes, another asks', async () => {
  const here = colo();
  const own = new ColoCache(here.cache, 'node');
  own.unlock(SEAL);
  const slow = new SharedNews({ colo: own, interval: INTERVAL, now: () => here.now, random: () => 0.5 });
  const answer = Promise.withResolvers<null>();
  const asking = async (): Promise<void> => {
    const begun = Promise.withResolvers<void>();
    void slow.ask(V1, () => {
      begun.resolve();
      return answer.promise;
    });
    await begun.promise;
  };
  const other = here.isolate();
  await asking();
  expect(await other.looks(), 'nothing is there yet').toEqual({ asked: false, known: false, told: false, holds: 500 });
  here.now += 1_001;
  expect(await other.looks()).toMatchObject({ asked: true, known: true });

  here.now += 3_500;
  await asking();
  expect(await other.looks(), 'by the answer before').toEqual({ asked: false, known: true, told: false, holds: 500 });
  here.now += 1_001;
  expect(await other.looks()).toMatchObject({ asked: true, known: true });
  answer.resolve(null);
});

test('nothing in the cache is believed but what an isolate of the same node has left there lately', async () => {
  const here = colo();
  const isolate = here.isolate();
  await isolate.looks();
  const [[place, sealed] = ['', new Uint8Array()]] = here.kept;
  expect(new TextDecoder().decode(sealed)).not.toContain('manifest');
  const asks = async () => (await isolate.looks()).asked;
  expect(await asks()).toBe(false);

  here.kept.set(place, new TextEncoder().encode(JSON.stringify({ at: here.now, version: V1, news: null })));
  expect(await asks(), 'in the clear').toBe(true);
  here.kept.set(place, sealed.with(20, (sealed[20] ?? 0) ^ 1));
  expect(await asks(), 'altered').toBe(true);
  await here.isolate({ seal: OTHER_SEAL }).looks();
  expect(await asks(), 'by who has another key').toBe(true);
  here.kept.clear();
  await here.isolate({ node: 'another' }).looks();
  for (const [other, bytes] of here.kept) here.kept.set(other.replace('another', 'node'), bytes);
  expect(await asks(), 'of another node, with the same key').toBe(true);
  here.now += INTERVAL;
  here.kept.set(place, sealed);
  expect(await asks(), 'genuine, and an interval old').toBe(true);
  expect(await here.isolate({ seal: null }).looks(), 'before the key is known').toMatchObject({ asked: true });
});

test('an answer that is behind what is held takes nothing back', async () => {
  const here = colo();
  const [behind, ahead] = [here.isolate(), here.isolate()];
  behind.held = null;
  await behind.looks();
  expect(behind.held).toBe(V1);
  ahead.held = V2;
  here.newest = V2;
  expect(await ahead.looks()).toMatchObject({ asked: true });
  expect(ahead.held).toBe(V2);
});

test.each([
  ['fails', () => Promise.reject(new Error('no cache here'))],
  ['has nothing', async () => null],
  ['does not answer', () => new Promise<never>(() => undefined)],
])('with a cache that %s each isolate asks for itself', async (_how, get) => {
  const here = colo();
  const through = timelyCache({ get, put: async () => void (await get()) }, 10);
  const isolates = Array.from({ length: 3 }, () => here.isolate({ through }));
  for (const each of isolates) expect(await each.looks()).toMatchObject({ asked: true, known: true });
  here.newest = V2;
  here.now += INTERVAL;
  for (const each of isolates) await each.looks();
  expect(isolates.map(({ held }) => held)).toEqual([V2, V2, V2]);
});

test('on a network that loses messages and moves the object, a colo asks as seldom as one isolate, and misses no change', async () => {
  const { steady, change, afterMove, kvReads } = await simulate({
    isolates: 60,
    shares: true,
    network: { ...CLOUDFLARE, colos: 3 },
  });
  // 60 isolates that ask for themselves would be at some 8.
  expect(steady).toBeLessThan(2);
  expect([change.missing, afterMove.missing]).toEqual([0, 0]);
  // Of two objects, by 60 isolates.
  expect(kvReads).toBeLessThan(60);
});
