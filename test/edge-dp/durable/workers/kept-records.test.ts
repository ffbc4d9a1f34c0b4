import { expect, it } from 'vitest';
import { KeptRecords } from '../../../../edge-dp/durable/kept-records.ts';

/** The storage of a Durable Object, of which at most 128 keys are deleted at once. */
function storage() {
  const all = new Map<string, unknown>();
  let alarm: number | null = null;
  const own = {
    get: async (key: string) => all.get(key),
    put: async (key: string, value: unknown) => void all.set(key, value),
    async delete(keys: string | string[]) {
      const list = [keys].flat();
      if (list.length > 128) throw new RangeError('Maximum number of keys is 128.');
      for (const key of list) all.delete(key);
    },
    async list({ limit = 1000, startAfter = '' }: { limit?: number; startAfter?: string }) {
      const keys = [...all.keys()].sort().filter((key) => key > startAfter);
      return new Map(keys.slice(0, limit).map((key) => [key, all.get(key)]));
    },
    getAlarm: async () => alarm,
    async setAlarm(at: number) {
      alarm = at;
    },
  };
  return { all, alarm: () => alarm, own: own as unknown as ConstructorParameters<typeof KeptRecords>[0] };
}

it('are gone from the disk once their time is over, however many there are', async () => {
  const { all, alarm, own } = storage();
  const records = new KeptRecords(own);
  for (let n = 0; n < 1200; n++) await records.answer({ does: 'put', key: `k${n}`, value: n, ttl: 60 }, 0);
  await records.answer({ does: 'put', key: 'later', value: 1, ttl: 3600 }, 0);
  await records.answer({ does: 'put', key: 'for good', value: 1, ttl: 0 }, 0);
  expect(await records.answer({ does: 'get', key: 'k7' }, 59_999)).toEqual({ value: 7 });
  expect(await records.answer({ does: 'get', key: 'k7' }, 60_000)).toEqual({ value: null });
  await records.sweep(60_000);
  expect([...all.keys()]).toEqual(['later', 'for good']);
  expect(alarm()).toBeGreaterThan(60_000);
});
