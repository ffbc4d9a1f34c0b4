import { describe, expect, it } from 'vitest';
import type { Expectation } from './case.ts';
import type { CaseAnswer } from './exchange.ts';
import { mismatches } from './mismatches.ts';
import type { ReceivedRequest } from './upstream.ts';

const answer: CaseAnswer = {
  status: 200,
  headers: { 'x-a': '1', 'set-cookie': 'a=1, b=2' },
  text: '{"a":{"b":[1,"two"]},"n":7}',
  closed: false,
};
const request: ReceivedRequest = {
  method: 'POST',
  target: '/path?x=1&x=%32&flag',
  headers: { host: 'up.test', 'content-length': '3' },
  body: 'b=1&a=x+y',
};

const holding: readonly Expectation[] = [
  { status: 200, headers: { 'X-A': '1', 'x-b': null, 'set-cookie': { match: '^a=1, b=\\d$' } } },
  { json: { n: { match: '^7$' }, a: { b: [1, 'two'] } } },
  { json_has: { a: { b: [1, { match: 'tw' }] } }, text: { match: '^\\{' } },
  { upstream: { method: 'POST', path: '/path', query: 'x=1&x=%32&flag', headers: { host: 'up.test', via: null } } },
  { received: [{ query: { form: { x: ['1', '2'], flag: true } }, body: { form: { a: 'x y', b: '1' } } }] },
];

const failing: readonly (readonly [Expectation, RegExp])[] = [
  [{ status: 201 }, /^status: 200, expected 201$/],
  [{ headers: { 'x-a': null } }, /^header x-a: "1", expected absent$/],
  [{ headers: { 'x-b': { match: '' } } }, /^header x-b: absent does not fit/],
  [{ json: { a: { b: [1, 'two'] } } }, /^json has n too/],
  [{ json_has: { a: { c: 1 } } }, /^json\.a\.c is absent/],
  [{ json_has: { a: { b: [1] } } }, /^json\.a\.b: /],
  [{ text: 'no' }, /^text: /],
  [{ closed: true }, /^answered with 200, not closed$/],
  [{ upstream: null }, /^nothing was to be sent upstream, but POST \/path/],
  [{ upstream: { method: 'GET' } }, /^upstream\.method: "POST", expected "GET"$/],
  [{ upstream: { query: { form: { x: '1', flag: true } } } }, /^upstream\.query\.x: \["1","2"\], expected "1"$/],
  [{ upstream: { body: { json: {} } } }, /^upstream\.body: "no JSON: b=1/],
  [{ received: [] }, /^0 requests were to be sent upstream, 1 were$/],
  [
    { upstream: { sigv4: { key: 'k', secret: 's', region: 'r', service: 'lambda' } } },
    /^upstream\.sigv4: no signature: ''$/,
  ],
];

describe('what a case expects', () => {
  it.each(holding)('holds: %j', (expected) => {
    expect(mismatches(expected, answer, [request])).toEqual([]);
  });

  it.each(failing)('is told not to hold: %j', (expected, problem) => {
    expect(mismatches(expected, answer, [request])).toEqual([expect.stringMatching(problem)]);
  });

  it('knows a right AWS signature from a wrong one', () => {
    // The example of AWS's documentation of Signature Version 4.
    const names = 'content-type;host;x-amz-date';
    const signature = '5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7';
    const credential = 'AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request';
    const signed = {
      method: 'GET',
      target: '/?Action=ListUsers&Version=2010-05-08',
      headers: {
        host: 'iam.amazonaws.com',
        'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
        'x-amz-date': '20150830T123600Z',
        authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`,
      },
      body: '',
    };
    const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
    const sigv4 = { key: 'AKIDEXAMPLE', secret, region: 'us-east-1', service: 'iam' };
    expect(mismatches({ upstream: { sigv4 } }, answer, [signed])).toEqual([]);
    const changed = { ...signed, body: 'x' };
    expect(mismatches({ upstream: { sigv4 } }, answer, [changed])).toEqual([expect.stringContaining('expected')]);
  });

  it('is told not to hold of a connection that was closed, and of an upstream that was not asked', () => {
    const closed = { status: 0, headers: {}, text: '', closed: true };
    expect(mismatches({ status: 200 }, closed, [])).toEqual(['the connection was closed without an answer']);
    expect(mismatches({ upstream: {} }, answer, [])).toEqual(['upstream: no request arrived']);
  });
});
