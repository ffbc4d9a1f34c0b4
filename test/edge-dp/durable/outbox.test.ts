import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Outbox, type OutboxStorage } from '../../../edge-dp/durable/outbox.ts';
import type { Parcel } from '../../../edge-dp/durable/outbox-messages.ts';
import { DurableStorage, prepareDurableStorage } from '../../../edge-dp/hosts/node/bindings/durable-storage.ts';

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

function memory(): OutboxStorage & { readonly rows: Map<string, unknown>; alarm: number | null } {
  const rows = new Map<string, unknown>();
  const storage = {
    rows,
    alarm: null as number | null,
    get: async <T>(key: string) => rows.get(key) as T | undefined,
    put: async (entries: Record<string, unknown>) => {
      for (const [key, value] of Object.entries(entries)) rows.set(key, value);
    },
    delete: async (keys: string[]) => keys.filter((key) => rows.delete(key)).length,
    list: async <T>({ prefix }: { readonly prefix: string }) =>
      new Map([...rows].filter(([key]) => key.startsWith(prefix)).sort() as [string, T][]),
    getAlarm: async () => storage.alarm,
    async setAlarm(at: number) {
      storage.alarm = at;
    },
  };
  return storage;
}

/** An outbox over that, whose servers take what `takes` says. */
function outbox(storage = memory(), most = { bytes: 5 << 20, parcels: 4 }) {
  const sent: string[] = [];
  const told: string[] = [];
  const lost: string[] = [];
  const state = { away: new Set<string>() };
  const own = new Outbox({
    storage,
    most,
    async send({ url, body }) {
      sent.push(`${Date.now()} ${url} ${body.length}`);
      if (state.away.has(url)) throw new Error('no connection');
    },
    log: (level, message) => void told.push(`${level} ${message}`),
    dropped: (...all) => void lost.push(all.join(' ')),
  });
  const keep = (queue: string, size: number, time = 60) =>
    own.answer({ does: 'keep', parcel: parcel(queue, size, time) }, Date.now());
  /** Lets alarms ring, as the runtime does, until nothing waits or that time. */
  const runUntil = async (end: number) => {
    while (storage.alarm !== null && storage.alarm <= end) {
      vi.setSystemTime(Math.max(storage.alarm, Date.now()));
      storage.alarm = null;
      await own.alarm(Date.now());
    }
  };
  return { storage, state, sent, told, lost, own, keep, runUntil };
}

function parcel(queue: string, size: number, max_retry_time: number): Parcel {
  const delivery = {
    url: queue,
    method: 'POST',
    headers: {},
    body: new Uint8Array(size).fill(1),
    timeout: 1,
    shown: '',
  };
  return {
    queue,
    entries: 2,
    since: Date.now(),
    retries: { initial_retry_delay: 2, max_retry_delay: 8, max_retry_time },
    delivery,
  };
}

it('tries later and later, each server by itself, then all that waits for it in order', async () => {
  const { state, sent, own, keep, runUntil, storage } = outbox();
  state.away.add('a');
  for (const [queue, size] of [
    ['a', 1],
    ['a', 2],
    ['b', 3],
  ] as const)
    await keep(queue, size);
  await runUntil(20_000);
  expect(sent).toEqual(['2000 a 1', '2000 b 3', '4000 a 1', '8000 a 1', '16000 a 1']);
  state.away.clear();
  await runUntil(60_000);
  expect(sent.slice(5)).toEqual(['24000 a 1', '24000 a 2']);
  expect(await own.answer({ does: 'show' }, Date.now())).toEqual({ waiting: 0 });
  expect([storage.rows.size, storage.alarm]).toEqual([0, null]);
});

it('knows after a restart what waits, bodies of several parts included', async () => {
  const before = outbox();
  before.state.away.add('a');
  await before.keep('a', (3 << 20) + 5);
  await before.runUntil(2_000);
  const { sent, own, runUntil } = outbox(before.storage);
  expect(await own.isHere()).toBe(true);
  await runUntil(10_000);
  expect(sent).toEqual([`4000 a ${(3 << 20) + 5}`]);
});

it('drops what nobody took in time, and the oldest when there is too much; counts both and tells', async () => {
  const { state, told, lost, own, keep, runUntil, storage } = outbox();
  state.away.add('a').add('late');
  for (const size of [1, 2, 3, 4, 5]) await keep('a', size);
  await keep('a', 5 << 20);
  expect(lost).toEqual(Array.from({ length: 5 }, () => 'a full 2'));
  expect(await own.answer({ does: 'show' }, Date.now())).toEqual({ waiting: 2 });
  await keep('a', (5 << 20) + 1);
  expect(lost.at(-1)).toBe('a too_long 2');
  state.away.delete('a');
  await runUntil(10_000);
  expect(told.filter((line) => line.startsWith('error'))).toEqual([
    'error outbox: it is full, its oldest batches are dropped',
    `error outbox: a batch of queue a has ${(5 << 20) + 1} bytes and was dropped`,
    'error outbox: it has room again, 10 entries were dropped',
  ]);
  await keep('late', 1, 5);
  await runUntil(30_000);
  expect(lost.at(-1)).toBe('late not_taken 2');
  expect(told.at(-1)).toBe('error outbox: 2 entries of queue late could not be sent and were dropped: no connection');
  expect(storage.rows.size).toBe(0);
});

it('reads what it has kept once the disk answers again', async () => {
  const first = outbox();
  first.state.away.add('a');
  await first.keep('a', 1);
  const { list } = first.storage;
  const again = outbox(Object.assign(first.storage, { list: () => Promise.reject(new Error('the disk is away')) }));
  await expect(again.own.answer({ does: 'show' }, 0)).rejects.toThrow('the disk is away');
  Object.assign(first.storage, { list });
  expect(await again.own.answer({ does: 'show' }, 0)).toEqual({ waiting: 2 });
});

it('leaves nothing on a disk that has no room for all of a batch', async () => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  const database = new DatabaseSync(':memory:');
  prepareDurableStorage(database);
  database.exec(`PRAGMA max_page_count = ${(3 << 20) / 4096}`);
  const own = new Outbox({
    storage: Object(new DurableStorage(database, 'Outbox', () => undefined)),
    send: async () => undefined,
    log: () => undefined,
    dropped: () => undefined,
  });
  await expect(own.answer({ does: 'keep', parcel: parcel('a', 4 << 20, 60) }, Date.now())).rejects.toThrow('full');
  expect(database.prepare('SELECT key FROM item').all()).toEqual([]);
  expect(await own.answer({ does: 'show' }, Date.now())).toEqual({ waiting: 0 });
  error.mockRestore();
});
