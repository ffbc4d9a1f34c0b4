import { expect, it, vi } from 'vitest';
import { retrying } from '../../../cp/store/retry.ts';

const refusal = (code: string) => Object.assign(new Error(`refused with ${code}`), { code, severity: 'ERROR' });

it.each(['40P01', '40001'])('tries a transaction again that the server undid with %s', async (code) => {
  const attempt = vi.fn().mockRejectedValueOnce(refusal(code)).mockResolvedValue('done');
  expect(await retrying(attempt)).toBe('done');
  expect(attempt).toHaveBeenCalledTimes(2);
});

it('tries nothing else again', async () => {
  const attempt = vi.fn().mockRejectedValue(refusal('23505'));
  await expect(retrying(attempt)).rejects.toThrow('23505');
  expect(attempt).toHaveBeenCalledTimes(1);
});
