import { expect, it } from 'vitest';
import { MemoryRecords } from '../../../../edge-dp/plugins/services/memory-records.ts';

it('gives what may be used once to one of those who ask at once, and lets one of them make it', async () => {
  const records = new MemoryRecords();
  await records.put('code', { text: 'x' }, 60);
  const taken = await Promise.all([1, 2, 3].map(() => records.take('code')));
  expect(taken).toEqual([{ text: 'x' }, null, null]);
  expect(await Promise.all([1, 2, 3].map((n) => records.add('one', n, 60)))).toEqual([true, false, false]);
});
