import { expect, it } from 'vitest';
import { Recent } from '../../../../edge-dp/plugins/runtime/recent.ts';

it('keeps what is used while ever new ones come, and no more than it may', () => {
  const recent = new Recent<number>(100);
  recent.keep('used', 1);
  for (let n = 0; n < 1_000; n++) {
    recent.keep(`once ${n}`, n);
    expect(recent.get('used')).toBe(1);
  }
  const kept = Array.from({ length: 1_000 }, (_, n) => recent.get(`once ${n}`)).filter((value) => value !== undefined);
  expect(kept.length).toBeGreaterThanOrEqual(49);
  expect(kept.length).toBeLessThanOrEqual(100);
});

it('does not forget all of somewhat more than it may keep, asked for in turn', () => {
  const recent = new Recent<number>(100);
  let found = 0;
  for (let turn = 0; turn < 10; turn++) {
    for (let n = 0; n < 120; n++) {
      // Most requests are of few; the others come by in turn.
      const key = n % 2 === 0 ? `few ${n % 20}` : `other ${n}`;
      if (recent.get(key) !== undefined) found += 1;
      else recent.keep(key, n);
    }
  }
  expect(found).toBeGreaterThan(600);
});
