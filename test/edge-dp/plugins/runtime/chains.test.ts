import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ProbeGateway, startProbeGateway } from './probe-gateway.ts';

/** A request as the naive model has it: what one plugin leaves is what the next one finds. */
interface Model {
  method: string;
  readonly headers: Map<string, string>;
  query: string;
  body: string;
}

const header = fc.constantFrom('x-a', 'x-b', 'X-A');
const value = fc.constantFrom('1', '2', 'a b', '');
const step = fc.oneof(
  fc.tuple(fc.constant('set'), header, value),
  fc.tuple(fc.constant('append'), header, value),
  fc.tuple(fc.constant('remove'), header),
  fc.tuple(fc.constant('method'), fc.constantFrom('POST', 'PUT', 'PATCH')),
  fc.tuple(fc.constant('query'), fc.constantFrom('', 'a=1', 'b=%20&c')),
  fc.tuple(
    fc.constant('body'),
    fc.constantFrom('', 'text', '{"a":1}'),
    fc.constantFrom('text/plain', 'application/json'),
  ),
);
type Step = readonly string[];

function apply(model: Model, [does, first = '', second = '']: Step): void {
  const name = first.toLowerCase();
  const before = model.headers.get(name);
  if (does === 'set') model.headers.set(name, second);
  if (does === 'append') model.headers.set(name, before === undefined ? second : `${before}, ${second}`);
  if (does === 'remove') model.headers.delete(name);
  if (does === 'method') model.method = first;
  if (does === 'query') model.query = first;
  if (does === 'body') {
    model.body = first;
    model.headers.set('content-type', second);
  }
}

const seenBy = ({ method, headers, query, body }: Model): string =>
  JSON.stringify([method, headers.get('x-a') ?? null, headers.get('x-b') ?? null, query, body]);

describe('a chain of plugins', () => {
  let probe: ProbeGateway;

  beforeAll(async () => {
    probe = await startProbeGateway();
  });
  afterAll(() => probe?.stop());

  it('shows each plugin, and the upstream, what the ones before have left', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(step, { maxLength: 4 }), { minLength: 1, maxLength: 6 }), async (chain) => {
        const model: Model = { method: 'POST', headers: new Map([['x-a', 'client']]), query: 'q=1', body: 'client' };
        await probe.use(
          Object.fromEntries(chain.map((steps, n) => [`p${n}`, { access: [['saw', `x-saw-${n}`], ...steps] }])),
        );
        const expected = chain.map((steps) => {
          const seen = seenBy(model);
          for (const each of steps) apply(model, each);
          return seen;
        });
        await probe.gateway.raw('POST /path?q=1 HTTP/1.1\r\nHost: a\r\nX-A: client\r\nContent-Length: 6\r\n\r\nclient');
        const [seen] = probe.upstream.seen;
        expect(chain.map((_, n) => seen?.header(`x-saw-${n}`))).toEqual(expected);
        expect(seen?.line).toBe(`${model.method} /path${model.query === '' ? '' : `?${model.query}`} HTTP/1.1`);
        expect(seen?.body).toBe(model.body);
        expect(seen?.header('content-length')).toBe(String(model.body.length));
        for (const each of ['x-a', 'x-b']) expect(seen?.all(each).join(', ')).toBe(model.headers.get(each) ?? '');
        expect(seen?.header('content-type')).toBe(model.headers.get('content-type'));
      }),
      { numRuns: 60 },
    );
  });
});
