import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { isRecord } from '../shared/record.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The names of metrics that the sources of both planes make. */
function madeMetrics(): ReadonlySet<string> {
  const sources = ['cp', 'edge-dp'].flatMap((plane) =>
    readdirSync(`${ROOT}/${plane}`, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(`${ROOT}/${plane}/${file}`, 'utf8')),
  );
  return new Set(sources.flatMap((source) => source.match(/\b(?:kong|holdfast)_[a-z_]+/g) ?? []));
}

/** Every `expr` and query below a value. */
function queries(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(queries);
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    typeof inner === 'string' && (name === 'expr' || name === 'query') ? [inner] : queries(inner),
  );
}

it.each([
  ['dashboard.json', 30],
  ['alerts.yml', 14],
])('docs/grafana/%s asks for metrics that there are', (file, least) => {
  const made = madeMetrics();
  const content: unknown = parse(readFileSync(`${ROOT}/docs/grafana/${file}`, 'utf8'));
  const asked = queries(content).flatMap((query) => query.match(/\b(?:kong|holdfast)_[a-z_]+/g) ?? []);
  expect(asked.length).toBeGreaterThanOrEqual(least);
  expect(asked.filter((name) => !made.has(name) && !made.has(name.replace(/_(bucket|sum|count)$/, '')))).toEqual([]);
});

// As the types of @grafana/schema have it: an object without them is no option.
it('variables of the dashboard that begin with a choice name its text and value', () => {
  const { templating }: { templating: { list: { name: string; current?: object }[] } } = JSON.parse(
    readFileSync(`${ROOT}/docs/grafana/dashboard.json`, 'utf8'),
  );
  const chosen = templating.list.filter(({ current }) => current !== undefined);
  expect(chosen.map(({ name }) => name)).toEqual(['service', 'route']);
  for (const { current } of chosen) expect(Object.keys(current ?? {})).toEqual(['text', 'value']);
});
