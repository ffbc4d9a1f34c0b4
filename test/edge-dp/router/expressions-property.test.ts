import { expect, it } from 'vitest';
import type { RouteRow } from '../../../edge-dp/router/route-row.ts';
import { createRouter } from '../../../edge-dp/router/router.ts';
import { type RequestSketch, request } from './request.ts';

/** A random condition: its text, and what it says of a request, computed without any of the language's code. */
interface Condition {
  readonly text: string;
  readonly holds: (sent: Sent) => boolean;
}

type Sent = Required<Pick<RequestSketch, 'method' | 'target' | 'headers' | 'sourceIp'>> & { readonly host: string };

let state = 1;

function below(end: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state >>> 9) % end;
}

function one<T>(choices: readonly [T, ...T[]]): T {
  return choices[below(choices.length)] ?? choices[0];
}

const HOSTS = ['a.test', 'b.test', 'a.b.test'] as const;
const TARGETS = ['/', '/a', '/a/b', '/a/b/c', '/b', '/ab', '/a?q=1', '/b?q=2&q=1', '/a/7/c'] as const;

const pathOf = ({ target }: Sent): string => target.split('?')[0] ?? '';
const queryOf = ({ target }: Sent): string[] => new URLSearchParams(target.split('?')[1] ?? '').getAll('q');
const headerOf = ({ headers }: Sent): string[] => [headers.x ?? []].flat();

function textCondition(
  field: string,
  value: string,
  read: (sent: Sent) => readonly string[],
  many: boolean,
): Condition {
  const operator = one(['==', '!=', '^=', '=^', 'contains', '==', '^=']);
  const lower = below(4) === 0;
  const any = many && below(2) === 0;
  const compare = (own: string): boolean => {
    const text = lower ? own.toLowerCase() : own;
    if (operator === '==') return text === value;
    if (operator === '!=') return text !== value;
    if (operator === '^=') return text.startsWith(value);
    return operator === '=^' ? text.endsWith(value) : text.includes(value);
  };
  const lowered = lower ? `lower(${field})` : field;
  return {
    text: `${any ? `any(${lowered})` : lowered} ${operator} "${value}"`,
    holds: (sent) => {
      const values = read(sent);
      return values.length > 0 && (any ? values.some(compare) : values.every(compare));
    },
  };
}

function predicate(): Condition {
  switch (below(8)) {
    case 0:
      return textCondition('http.host', one(['a.test', 'b.test', '.test', 'a.']), (sent) => [sent.host], false);
    case 1:
    case 2:
      return textCondition('http.path', one(['/', '/a', '/a/b', '/b', 'b']), (sent) => [pathOf(sent)], false);
    case 3:
      return textCondition('http.method', one(['GET', 'POST']), (sent) => [sent.method], false);
    case 4:
      return textCondition('http.headers.x', one(['1', 'two', 'T']), headerOf, true);
    case 5:
      return textCondition('http.queries.q', one(['1', '2']), queryOf, true);
    case 6: {
      const place = below(3);
      const segments = (sent: Sent) =>
        pathOf(sent)
          .slice(1)
          .split('/')
          .filter((segment) => segment !== '');
      return textCondition(
        `http.path.segments.${place}`,
        one(['a', 'b', 'c']),
        (s) => segments(s).slice(place, place + 1),
        false,
      );
    }
    default: {
      const [text, pattern] = one<[string, RegExp]>([
        ['^/a/[^/]+/c$', /^\/a\/[^/]+\/c$/],
        ['^/(a|b)', /^\/(a|b)/],
        ['b$', /b$/],
        ['^/a|c$', /^\/a|c$/],
      ]);
      return { text: `http.path ~ r#"${text}"#`, holds: (sent) => pattern.test(pathOf(sent)) };
    }
  }
}

function condition(depth: number): Condition {
  if (depth === 0 || below(3) === 0) return predicate();
  const parts = Array.from({ length: 2 + below(2) }, () => condition(depth - 1));
  const all = below(3) > 0;
  const text = parts.map((part) => `(${part.text})`).join(all ? ' && ' : ' || ');
  const negated = below(6) === 0;
  return {
    text: negated ? `!(${text})` : text,
    holds: (sent) =>
      negated !== (all ? parts.every((part) => part.holds(sent)) : parts.some((part) => part.holds(sent))),
  };
}

it('finds the first expression that holds, wherever the index files it', () => {
  let matched = 0;
  for (let seed = 1; seed <= 400; seed++) {
    state = seed;
    const routes = Array.from({ length: 12 }, (_, i) => ({ i, priority: below(4), condition: condition(2) }));
    const upserts = routes.map(
      (route): RouteRow => ({
        id: `00000000-0000-4000-8000-0000000000${10 + route.i}`,
        protocols: ['http', 'https'],
        expression: route.condition.text,
        priority: route.priority,
      }),
    );
    const router = createRouter('expressions').update({ upserts, deletes: [] });
    const ordered = routes.toSorted((a, b) => b.priority - a.priority || b.i - a.i);
    for (let i = 0; i < 50; i++) {
      const sent: Sent = {
        host: one(HOSTS),
        target: one(TARGETS),
        method: one(['GET', 'POST']),
        headers: below(2) ? { x: one<string | string[]>(['1', ['1', 'Two'], 'two']) } : {},
        sourceIp: '192.0.2.1',
      };
      const expected = ordered.find((route) => route.condition.holds(sent));
      if (expected) matched++;
      expect({ seed, sent, route: router.match(request(sent))?.route.expression }).toEqual({
        seed,
        sent,
        route: expected?.condition.text,
      });
    }
  }
  expect(matched).toBeGreaterThan(10_000);
});
