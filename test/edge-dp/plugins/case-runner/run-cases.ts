import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore, type StoreSettings } from '../../../../cp/store/open.ts';
import { plugins } from '../../../../edge-dp/plugins/registry.ts';
import { plugins as schemas } from '../../../../shared/plugins/registry.ts';
import { isRecord, type Row } from '../../../../shared/record.ts';
import { type PostgresServer, startPostgres } from '../../../postgres-server.ts';
import { hosts } from '../../hosts.ts';
import { type Case, caseFiles, pluginsOf, readCases, type Step } from './case.ts';
import { type DirectoryServer, startDirectoryServer } from './directory-server.ts';
import { type CaseAnswer, exchange } from './exchange.ts';
import { type CaseGateway, startCaseGateway } from './gateway.ts';
import { mismatches } from './mismatches.ts';
import { type CaseUpstream, startCaseUpstream } from './upstream.ts';
import { resolve, resolveRequest } from './values.ts';

type HostName = (typeof hosts)[number][0];

/** Files whose plugins hold for all requests: set up when the others are done. */
const FOR_ALL_REQUESTS = ['global'];

/**
 * One test per case of the `files` of `cases/` (all, when not said) on `host`, in one product: set up file by file through
 * its Admin API, tried through its data plane, over sockets. Left out, and named in the title, are cases whose plugins no
 * data plane has, and on hosts without TLS listeners those that need one.
 */
export function runCases(host: HostName, files: readonly string[] = caseFiles()): void {
  const [, start] = hosts.find(([name]) => name === host) ?? expect.fail(`there is no host '${host}'`);
  const tls = host !== 'Miniflare';
  const [last, first] = split(files, (file) => FOR_ALL_REQUESTS.includes(file));
  let postgres: PostgresServer;
  let product: Product;
  beforeAll(async () => {
    // Two thousand writes cost the embedded database a minute.
    postgres = await startPostgres();
    const settings = postgres.settings();
    await (await openStore(settings, { migrate: true })).close();
    const gateway = await startCaseGateway(start, { tls, environment: environmentOf(settings) });
    product = { host, gateway, directory: await startDirectoryServer() };
  });
  afterAll(async () => {
    await product?.gateway.stop();
    await product?.directory.stop();
    await postgres?.stop();
  });
  for (const file of [...first, ...last]) runFile(file, host, tls, () => product);
}

/** What the cases of all files share. */
interface Product {
  readonly host: HostName;
  readonly gateway: CaseGateway;
  readonly directory: DirectoryServer;
}

function environmentOf(settings: StoreSettings): Readonly<Record<string, string>> {
  const given = Object.entries(settings).filter(([, value]) => value !== null);
  return Object.fromEntries(given.map(([name, value]) => [`HOLDFAST_${name.toUpperCase()}`, String(value)]));
}

function runFile(file: string, host: HostName, tls: boolean, product: () => Product): void {
  const cases = readCases(file);
  const [lacking, run] = split(cases, (each) => [...pluginsOf(each)].some((plugin) => !plugins.has(plugin)));
  const [secure, tried] = split(run, ({ steps }) => !tls && steps.some(({ request }) => request.tls));
  const missing = new Set(lacking.flatMap((each) => [...pluginsOf(each)].filter((plugin) => !plugins.has(plugin))));
  const without = [
    ...(lacking.length > 0 ? [`${lacking.length} that need ${[...missing].sort().join(', ')}`] : []),
    ...(secure.length > 0 ? [`${secure.length} over TLS`] : []),
  ];
  // Of a plugin that is there this is a mistake, which the suite without a test tells.
  if (tried.length === 0 && (secure.length > 0 || !schemas.has(file))) return;
  describe(`cases of ${file} on ${host}${without.length > 0 ? `, but ${without.join(' and ')}` : ''}`, () => {
    const prepared = new Map<Case, PreparedCase>();
    beforeAll(async () => {
      await Promise.all(tried.map(async (each) => prepared.set(each, await prepare(each, product()))));
      await product().gateway.applied();
    });
    afterAll(async () => {
      for (const { upstream } of prepared.values()) await upstream.stop();
    });
    // Cases that let time pass do so together.
    const [patient, others] = split(tried, ({ steps }) => steps.some(({ wait_ms }) => wait_ms !== undefined));
    const trial = (each: Case) => async () => {
      const { upstream, failure, refused } = prepared.get(each) ?? expect.fail('it was not set up');
      expect(failure, 'set up through the Admin API').toBeNull();
      if (!refused) await runSteps(each, product(), upstream);
    };
    for (const each of others) it(each.name, trial(each));
    for (const each of patient) it.concurrent(each.name, trial(each));
  });
}

interface PreparedCase {
  readonly upstream: CaseUpstream;
  /** What the Admin API did not do as told. */
  readonly failure: string | null;
  /** It was to refuse a call, and did: there is nothing to try. */
  readonly refused: boolean;
}

async function prepare(each: Case, { gateway, directory }: Product): Promise<PreparedCase> {
  const upstream = await startCaseUpstream(each.answers, {
    port80: JSON.stringify(each.setup).includes('UPSTREAM_LABEL'),
  });
  for (const { method, path, body, refused } of each.setup) {
    const response = await fetch(`${gateway.admin}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(placed(body, upstream, directory)) }),
    });
    const text = await response.text();
    const call = `${method} ${path} ${JSON.stringify(body)}`;
    if (refused !== undefined) {
      requireDocumented(refused.by);
      const answer = { status: response.status, headers: {}, text, closed: false };
      const problems = mismatches({ status: refused.status, json_has: refused.json_has }, answer, []);
      return { upstream, failure: problems.length > 0 ? `${call}: ${problems.join('\n')}` : null, refused: true };
    }
    if (!response.ok) return { upstream, failure: `${call}: ${response.status} ${text}`, refused: false };
  }
  return { upstream, failure: null, refused: false };
}

/** A body with the addresses of the case's own servers in place of their names. */
function placed(value: unknown, upstream: CaseUpstream, directory: DirectoryServer): unknown {
  if (value === 'UPSTREAM_PORT') return upstream.port;
  if (value === 'LDAP_PORT') return directory.port;
  if (Array.isArray(value)) return value.map((each) => placed(each, upstream, directory));
  if (isRecord(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([name, each]): [string, unknown] => [name, placed(each, upstream, directory)]),
    ) satisfies Row;
  }
  if (typeof value !== 'string') return value;
  const [label = '', ...labels] = upstream.host.split('.');
  return value
    .replaceAll('UPSTREAM_HOST', upstream.host)
    .replaceAll('UPSTREAM_LABELS', labels.join('.'))
    .replaceAll('UPSTREAM_LABEL1', label)
    .replaceAll('UPSTREAM', `${upstream.host}:${upstream.port}`);
}

async function runSteps({ steps }: Case, { gateway, host }: Product, upstream: CaseUpstream): Promise<void> {
  const answers: CaseAnswer[] = [];
  for (const [place, step] of steps.entries()) {
    if (step.wait_ms !== undefined) await pause(step.wait_ms);
    for (let round = 0; round < (step.repeat ?? 1); round++) {
      const context = { answers: answers.slice(0, place), now: Date.now() };
      const request = resolveRequest(step.request, context);
      const port = request.tls ? gateway.ports.tls : gateway.ports.plain;
      const before = upstream.received.length;
      answers[place] = await exchange(request, port ?? expect.fail('this host has no TLS listener'));
      judge(step, place, host, answers[place], upstream.received.slice(before), { ...context, answers });
    }
  }
}

/** Fails when the step's expectation does not hold; where Holdfast differs, also when Kong's does. */
function judge(
  { expect: kongs, differs }: Step,
  place: number,
  host: string,
  answer: CaseAnswer,
  received: CaseUpstream['received'],
  context: Parameters<typeof resolve>[1],
): void {
  const found = (expected: Step['expect']) =>
    mismatches(resolve(expected, context) as Step['expect'], answer, received);
  const shown = `step ${place}, answered ${answer.status} ${JSON.stringify(answer.headers)} ${answer.text}`;
  const differsHere = differs !== undefined && (differs.on?.includes(host) ?? true);
  if (!differsHere) {
    expect(found(kongs), shown).toEqual([]);
    return;
  }
  requireDocumented(differs.by);
  expect(found({ ...kongs, ...differs.expect }), shown).toEqual([]);
  if (found(kongs).length === 0) expect.fail(`step ${place} does what Kong does: its 'differs' is no longer true`);
}

const documents = ['kong-differences', 'capabilities'].map((name) =>
  plain(readFileSync(new URL(`../../../../docs/${name}.md`, import.meta.url), 'utf8')),
);

/** A deviation must be told to users in the words the case names. */
function requireDocumented(words: string): void {
  if (documents.some((text) => text.includes(plain(words)))) return;
  expect.fail(`neither docs/kong-differences.md nor docs/capabilities.md says '${words}'`);
}

function plain(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}

function split<T>(all: readonly T[], first: (each: T) => boolean): readonly [T[], T[]] {
  return [all.filter(first), all.filter((each) => !first(each))];
}
