import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { traceIds } from '../../../../edge-dp/plugins/log-entry.ts';
import opentelemetry from '../../../../edge-dp/plugins/opentelemetry.ts';
import type { Hooks } from '../../../../edge-dp/plugins/runtime/plugin.ts';
import zipkin from '../../../../edge-dp/plugins/zipkin.ts';
import type { OpentelemetryConfig } from '../../../../shared/plugins/opentelemetry.ts';
import type { ZipkinConfig } from '../../../../shared/plugins/zipkin.ts';
import { EVERYWHERE, fakeRequest, fakeServices } from '../fakes.ts';

type Fields = Readonly<Record<string, string>>;

interface Vectors {
  /** Headers of clients; `{T}` is a trace id, `{S}` a span id, `{P}` its parent, `{T2}` and `{S2}` others. */
  readonly incoming: Readonly<Record<string, Fields>>;
  readonly configs: Readonly<
    Record<
      string,
      {
        readonly plugin: 'opentelemetry' | 'zipkin';
        readonly config: {
          readonly header_type: string;
          readonly propagation: {
            readonly extract: readonly string[] | null;
            readonly inject: readonly string[] | null;
          };
        };
        /** What the upstream gets for each of the client's headers; `=`: as they were. `{new …}` is made by the gateway. */
        readonly upstream: Readonly<Record<string, Fields>>;
        /** The same without `tracing_instrumentations`. */
        readonly upstream_without_spans?: Readonly<Record<string, Fields>>;
      }
    >
  >;
}

/** As recorded from Kong 3.9.3. */
const vectors: Vectors = JSON.parse(readFileSync(new URL('propagation.json', import.meta.url), 'utf8'));

const IDS: Fields = {
  T: '0af7651916cd43dd8448eb211c80319c',
  S: 'b7ad6b7169203331',
  P: '5e5f6a7b8c9d0e1f',
  T2: '1bf7651916cd43dd8448eb211c80319d',
  S2: 'c7ad6b7169203332',
};

const NAMES = new Set(
  Object.values(vectors.configs).flatMap(({ upstream }) => Object.values(upstream).flatMap((row) => Object.keys(row))),
);

function hex(id: string): string {
  return BigInt(`0x${id.slice(-16)}`).toString();
}

/** Puts ids in for `{T}`, `{T.low64}`, `{T[0:8]}`, `{S dec}` and the like; leaves unknown ones. */
function filled(template: string, ids: Fields): string {
  return template.replace(/\{([^{}]+)\}/g, (whole, what: string) => {
    if (what === '16 zeros') return '0'.repeat(16);
    const [, name = '', low, from, to, decimal] = /^(.*?)(\.low64)?(?:\[(\d+):(\d+)\])?( dec)?$/.exec(what) ?? [];
    const id = ids[name];
    if (id === undefined) return whole;
    const part = low === undefined ? id : id.slice(-16);
    if (from !== undefined) return part.slice(Number(from), Number(to));
    return decimal === undefined ? part : hex(part);
  });
}

/** What the gateway made, found where the templates name it alone. */
function made(expected: Fields, got: Fields): Fields {
  const ids: Record<string, string> = {};
  for (const [name, template] of Object.entries(expected)) {
    const names: string[] = [];
    const pattern = filled(template, IDS)
      .replace(/[.*+?^$()|[\]\\]/g, '\\$&')
      .replace(/\{([^{}]*)\}/g, (_, what: string) => {
        names.push(what.replaceAll('\\', ''));
        return '([0-9a-f]+)';
      });
    const found = new RegExp(`^${pattern}$`).exec(got[name] ?? '');
    names.forEach((what, at) => {
      const value = found?.[at + 1];
      if (value !== undefined && /^new (trace|\d)$/.test(what)) ids[what] ??= value;
    });
    const halves = names.indexOf('new trace[0:8]');
    if (halves >= 0 && found !== null) ids['new trace'] ??= `${found[halves + 1]}${found[halves + 2]}`;
  }
  return ids;
}

function hooksOf(plugin: 'opentelemetry' | 'zipkin', own: object, instrumentations: readonly string[]): Hooks {
  const services = fakeServices({ tracing: { instrumentations, samplingRate: 1 } });
  const config = {
    traces_endpoint: 'http://collector.test/v1/traces',
    logs_endpoint: null,
    http_endpoint: null,
    queue: {},
    sampling_rate: null,
    header_type: 'preserve',
    ...own,
  };
  return plugin === 'zipkin'
    ? zipkin.compile(config as unknown as ZipkinConfig, EVERYWHERE, services)
    : opentelemetry.compile(config as unknown as OpentelemetryConfig, EVERYWHERE, services);
}

function run(name: string, headers: Fields, recording: boolean): Fields {
  const entry = vectors.configs[name];
  if (entry === undefined) throw new Error(`no config ${name}`);
  const request = fakeRequest({ headers });
  hooksOf(entry.plugin, entry.config, recording ? ['all'] : []).access?.(request);
  return Object.fromEntries([...request.headers].filter(([header]) => NAMES.has(header)));
}

/** A `tracestate` beside `traceparent` makes Kong lose the client's trace. */
function losesTrace(sent: Fields, row: Fields, extracts: boolean): boolean {
  return extracts && sent.tracestate !== undefined && JSON.stringify(row).includes('{new trace}');
}

describe.each(Object.keys(vectors.configs))('%s', (name) => {
  const entry = vectors.configs[name];
  if (entry === undefined) return;
  const { upstream, upstream_without_spans, config, plugin } = entry;
  const { extract, inject } = config.propagation;
  const extracts = extract !== null ? extract.length > 0 : inject === null && config.header_type !== 'ignore';
  const all: readonly (readonly [rows: Readonly<Record<string, Fields>>, recording: boolean])[] = [
    [upstream, true],
    [upstream_without_spans ?? {}, false],
  ];
  for (const [rows, recording] of all) {
    it.each(Object.keys(rows))(`tells the upstream of %s${recording ? '' : ' without spans'}`, (client) => {
      const sent = Object.fromEntries(
        Object.entries(vectors.incoming[client] ?? {}).map(([field, value]) => [field, filled(value, IDS)]),
      );
      const row: Fields = rows[client] ?? {};
      const got = run(name, sent, recording);
      if (losesTrace(sent, row, extracts)) {
        expect(got.traceparent).toContain(`00-${IDS.T}-`);
        expect(got.traceparent).not.toBe(sent.traceparent);
        expect(JSON.stringify(got)).not.toMatch(/x-b3-traceid":"(?!0af7651916cd43dd8448eb211c80319c)/);
        return;
      }
      const template: Record<string, string> = Object.fromEntries(
        Object.entries(row).map(([field, value]) => [field, value === '=' ? (sent[field] ?? '') : value]),
      );
      // Kong's zipkin leaves the decision out of the one header when it is no.
      if (plugin === 'zipkin' && template.b3 !== undefined) {
        template.b3 = template.b3.replace(/^(\{[^}]+\}-\{new 1\})-(\{new 2\})$/, '$1-0-$2');
      }
      const ids = { ...IDS, ...made(template, got) };
      const expected = Object.fromEntries(
        Object.entries(template).map(([field, value]) => {
          const text = filled(value, ids);
          const somewhere = text.replace('{new dec}', /\d{5,20}(?=;|$)/.exec(got[field] ?? '')?.[0] ?? '{new dec}');
          return [field, somewhere];
        }),
      );
      expect(got).toEqual(expected);
    });
  }
});

describe('the trace ids of the log entry', () => {
  const { T, S } = IDS;
  const inject = ['preserve', 'w3c', 'datadog', 'ot', 'jaeger', 'aws', 'gcp'];
  const all = { propagation: { extract: ['b3'], clear: null, inject, default_format: 'w3c' } };
  it.each<[string, string, Fields]>([
    ['32 digits', T ?? '', { datadog: '9532127138774266268', ot: T ?? '' }],
    ['16 digits', T?.slice(16) ?? '', { datadog: '9532127138774266268', ot: T?.slice(16) ?? '' }],
  ])('are as each format writes one of %s, the two of B3 by one name', (_, id, { datadog, ot }) => {
    const request = fakeRequest({ headers: { b3: `${id}-${S}-1` } });
    hooksOf('opentelemetry', all, ['all']).access?.(request);
    const whole = id.padStart(32, '0');
    expect(traceIds.get(request)).toEqual({ b3: id, w3c: whole, datadog, ot, jaeger: id, aws: whole, gcp: whole });
  });

  it('go on whole where Datadog’s has 128 bits, of which its own format tells 64', () => {
    const headers = { 'x-datadog-trace-id': BigInt(`0x${T}`).toString(), 'x-datadog-parent-id': '5' };
    const request = fakeRequest({ headers });
    const propagation = { extract: ['datadog'], clear: null, inject: ['b3', 'datadog'], default_format: 'w3c' };
    hooksOf('opentelemetry', { propagation }, ['all']).access?.(request);
    expect(traceIds.get(request)).toEqual({ b3: T, datadog: '9532127138774266268' });
  });

  it('are those of all plugins that have told the upstream', () => {
    const request = fakeRequest({ headers: { traceparent: `00-${T}-${S}-01` } });
    const propagation = { extract: null, clear: null, inject: null, default_format: 'w3c' };
    for (const [plugin, header_type] of [
      ['zipkin', 'ot'],
      ['opentelemetry', 'jaeger'],
    ] as const)
      hooksOf(plugin, { header_type, propagation }, ['all']).access?.(request);
    expect(traceIds.get(request)).toEqual({ w3c: T, ot: T, jaeger: T });
  });

  it('are not there where the upstream is told nothing', () => {
    const request = fakeRequest();
    hooksOf('zipkin', { propagation: { ...all.propagation, inject: [] } }, []).access?.(request);
    expect(traceIds.get(request)).toBeUndefined();
  });
});
