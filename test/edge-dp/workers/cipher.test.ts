import { expect, test } from 'vitest';
import { cacheCipher } from '../../../edge-dp/config/cipher.ts';
import { utf8 } from '../../../shared/bundle/canonical.ts';

/** base64 of 32 bytes. */
const key = (byte: string): string => btoa(byte.repeat(32));

test('what was sealed opens in its own place, under its own key, and nowhere else', async () => {
  const cipher = cacheCipher(async () => key('a'));
  const sealed = await cipher.seal('objects/a', utf8('a secret'));
  expect(new TextDecoder().decode(sealed)).not.toContain('secret');
  expect(await cipher.open('objects/a', sealed)).toEqual(utf8('a secret'));
  await expect(cipher.open('objects/b', sealed)).rejects.toThrow(
    "objects/b: not encrypted under this node's cache key",
  );
  const altered = sealed.with(-1, (sealed.at(-1) ?? 0) ^ 1);
  await expect(cipher.open('objects/a', altered)).rejects.toThrow('tampered with');
  await expect(cacheCipher(async () => key('b')).open('objects/a', sealed)).rejects.toThrow('not encrypted under');
  expect(await cipher.seal('objects/a', utf8('a secret'))).not.toEqual(sealed);
});

test('a key that is none is refused', async () => {
  await expect(cacheCipher(async () => undefined).seal('a', utf8('b'))).rejects.toThrow(
    "'encrypted' needs a cache key",
  );
  await expect(cacheCipher(async () => btoa('short')).seal('a', utf8('b'))).rejects.toThrow(
    'base64 of 32 bytes, found 5 bytes',
  );
});
