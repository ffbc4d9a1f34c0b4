import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FieldList, type HeaderFields } from '../../../edge-dp/http/fields.ts';

/** Names that meet each other in several spellings. */
const name = fc.constantFrom(
  'Accept',
  'accept',
  'X-One',
  'x-one',
  'X-ONE',
  'Set-Cookie',
  'set-cookie',
  'Cookie',
  'é',
  'a b',
);
const value = fc.constantFrom('', 'a', ' b ', 'c, d', '\tx\t', 'e\r\nf', 'g\0', 'q="1"');

const step = fc.oneof(
  fc.record({ does: fc.constantFrom('set', 'append'), name, value }),
  fc.record({ does: fc.constant('delete'), name }),
);

/** What a step came to, and all that can be read afterwards. */
function after(fields: HeaderFields, steps: readonly { does: string; name: string; value?: string }[]): unknown[] {
  const refused = steps.map((step) => {
    try {
      if (step.does === 'set') fields.set(step.name, step.value ?? '');
      else if (step.does === 'append') fields.append(step.name, step.value ?? '');
      else fields.delete(step.name);
      return null;
    } catch (error) {
      return error instanceof TypeError;
    }
  });
  const names = ['ACCEPT', 'x-One', 'set-cookie', 'cookie', 'none'];
  return [
    // Deleting what cannot be there is no mistake here.
    refused.filter((_, i) => steps[i]?.does !== 'delete'),
    names.map((each) => fields.get(each)),
    names.map((each) => fields.has(each)),
    fields.getSetCookie(),
    [...fields.keys()].sort(),
    [...fields].sort(),
  ];
}

describe('a list of header fields', () => {
  it('does what native headers do, whatever is done to it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        expect(after(new FieldList(), steps)).toEqual(after(new Headers(), steps));
      }),
    );
  });

  it('takes blanks away around a value, not those within, however many', () => {
    const value = `a${' '.repeat(1 << 20)}é`;
    expect(FieldList.of({ 'x-one': `\t ${value} \t` }).get('x-one')).toBe(value);
  });

  it('keeps lines apart and names as they were spelt', () => {
    const fields = FieldList.of({ 'X-RateLimit-Limit': '5' });
    fields.append('Vary', 'a');
    fields.append('vary', 'b');
    expect(fields.lines).toEqual(['X-RateLimit-Limit', '5', 'Vary', 'a', 'vary', 'b']);
    expect(fields.get('VARY')).toBe('a, b');
  });

  it.each([
    ['native headers', (lines: [string, string][]) => new Headers(lines)],
    ['a list', (lines: [string, string][]) => new FieldList(lines.flat())],
  ])('comes before what others have, or only where they have nothing: %s', (_, make) => {
    const others = () =>
      make([
        ['vary', 'old'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=1, c'],
        ['etag', '"x"'],
      ]);
    const fields = FieldList.of({ Vary: 'a', 'Set-Cookie': 'b=2', 'X-New': '1' });
    fields.append('vary', 'b');
    const upstreams = others();
    fields.precede(upstreams);
    expect(upstreams.get('vary')).toBe('a, b, old');
    expect(upstreams.getSetCookie()).toEqual(['b=2', 'a=1', 'b=1, c']);
    expect([upstreams.get('etag'), upstreams.get('x-new')]).toEqual(['"x"', '1']);
    const own = others();
    fields.complete(own);
    expect(own.get('vary')).toBe('old');
    expect(own.getSetCookie()).toEqual(['a=1', 'b=1, c', 'b=2']);
    expect([own.get('etag'), own.get('x-new')]).toEqual(['"x"', '1']);
  });

  it('takes over raw lines as a host without native headers has them', () => {
    const fields = new FieldList(['Host', 'a.test', 'Accept', 'x', 'accept', 'y']);
    expect(fields.get('host')).toBe('a.test');
    expect(fields.get('Accept')).toBe('x, y');
    fields.delete('ACCEPT');
    expect(fields.lines).toEqual(['Host', 'a.test']);
  });
});
