import { expect, it } from 'vitest';
import { decodeBase64, encodeBase64 } from '../../../edge-dp/http/base64.ts';

it('gives back the bytes of base64, padded or not', () => {
  for (let length = 0; length < 70; length++) {
    const bytes = Uint8Array.from({ length }, (_, n) => (n * 167 + length * 31) & 255);
    const text = encodeBase64(bytes);
    expect(text).toBe(Buffer.from(bytes).toString('base64'));
    expect(decodeBase64(text)).toEqual(bytes);
    expect(decodeBase64(text.replace(/=+$/, ''))).toEqual(bytes);
  }
});

it.each(['A', 'AAAAA', 'AA===', '=', 'A=A=', 'AA AA', 'AAAA\n', 'AA-_', 'ÄÄÄÄ', 'AAAA, AAAA'])(
  'takes %j for none',
  (text) => {
    expect(decodeBase64(text)).toBeNull();
  },
);
