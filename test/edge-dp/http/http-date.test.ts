import { expect, it } from 'vitest';
import { parseHttpDate } from '../../../edge-dp/http/http-date.ts';

it.each([
  ['Sun, 06 Nov 1994 08:49:37 GMT', 784_111_777],
  ['Sunday, 06-Nov-94 08:49:37 GMT', 784_111_777],
  ['Sun Nov  6 08:49:37 1994', 784_111_777],
  ['Sun Nov 16 08:49:37 1994', 784_975_777],
  ['Sun, 06 Nov 1994 08:49:37 UTC', 784_111_777],
  ['Sun, 06 Nov 1994 08:49:37 -0000', 784_111_777],
  ['Sun, 06 Nov 1994 08:49:37', 784_111_777],
  ['Thu, 01-Jan-70 00:00:00 GMT', 0],
  ['Tuesday, 01-Jan-69 00:00:00 GMT', 3_124_224_000],
  ['Thu, 29 Feb 2024 23:59:59 GMT', 1_709_251_199],
  ['Wed, 29 Feb 2023 00:00:00 GMT', null],
  ['Sun, 31 Apr 2022 00:00:00 GMT', null],
  ['Sun, 00 Nov 1994 08:49:37 GMT', null],
  ['Sun, 06 Nov 1994 24:00:00 GMT', null],
  ['Sun, 06 Nov 1994 23:60:00 GMT', null],
  ['Sun, 06 Nov 1994 23:59:60 GMT', null],
  ['Sun, 06 nov 1994 08:49:37 GMT', null],
  ['Sun, 6 Nov 1994 08:49:37 GMT', null],
  ['Sun, 06 Nov 1994 08:49:371 GMT', null],
  ['Sun, 06 Nov 94 08:49:37 GMT', null],
  ['1994-11-06T08:49:37Z', null],
  ['784111777', null],
  ['wrong date', null],
  ['', null],
])('reads %j as %j', (text, second) => {
  expect(parseHttpDate(text)).toBe(second);
});
