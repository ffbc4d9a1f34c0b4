import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { isRecord, mustBeRecord, type Row } from '../../../../shared/record.ts';

/** What the Admin API is told before a case's steps; all of it is one configuration with the other cases of the file. */
interface SetupCall {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  /** Where Holdfast refuses the call that Kong takes: the case ends with it. */
  readonly refused?: { readonly by: string; readonly status: number; readonly json_has: unknown };
}

/** What the case's upstream answers in place of its echo; the first that fits. */
export interface CannedAnswer {
  /** A regular expression found in the request target. */
  readonly path?: string;
  /** How often it answers before it is used up. */
  readonly times?: number;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Text, or anything else as JSON. */
  readonly body?: unknown;
  /** Sent chunked, one after the other. */
  readonly chunks?: readonly string[];
  readonly delay_ms?: number;
}

/** Values that begin with `$` are worked out when the step runs (`values.ts`). */
export interface CaseRequest {
  readonly method: string;
  readonly path: unknown;
  /** A list is one line per item. Nothing is sent beside these but Content-Length and `Connection: close`. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** Text as it is; objects and lists as JSON. */
  readonly body?: unknown;
  /** Over the TLS listener, the server name being the Host. */
  readonly tls?: boolean;
}

/** What must hold of an answer, and of what reached the upstream (`mismatches.ts`). */
export interface Expectation {
  readonly status?: number;
  readonly json?: unknown;
  readonly json_has?: unknown;
  readonly text?: unknown;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly sse?: readonly unknown[];
  readonly closed?: boolean;
  /** The last request that arrived during the step; null: none did. */
  readonly upstream?: ExpectedRequest | null;
  /** All that arrived during the step, in order. */
  readonly received?: readonly ExpectedRequest[];
}

export interface ExpectedRequest {
  readonly method?: string;
  readonly path?: unknown;
  readonly query?: unknown;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly sigv4?: { readonly key: string; readonly secret: string; readonly region: string; readonly service: string };
}

/** What Holdfast does otherwise, and where the documents say so. */
export interface Difference {
  /** Words of docs/kong-differences.md or docs/capabilities.md, as they stand there. */
  readonly by: string;
  /** Hosts it holds on; absent: all. */
  readonly on?: readonly string[];
  /** What holds instead, member by member in place of the step's own. */
  readonly expect: Expectation;
}

export interface Step {
  readonly request: CaseRequest;
  readonly repeat?: number;
  /** Time that must pass before the step. */
  readonly wait_ms?: number;
  readonly expect: Expectation;
  readonly differs?: Difference;
}

export interface Case {
  readonly name: string;
  readonly setup: readonly SetupCall[];
  readonly answers?: readonly CannedAnswer[];
  readonly steps: readonly Step[];
}

/** The names of all files in `cases/`. */
export function caseFiles(): readonly string[] {
  return readdirSync(new URL('../cases', import.meta.url))
    .map((file) => basename(file, '.json'))
    .sort();
}

/** The cases of `cases/<name>.json`. Throws on members the runner does not know: a misspelt expectation would hold always. */
export function readCases(name: string): readonly Case[] {
  const file: unknown = JSON.parse(readFileSync(new URL(`../cases/${name}.json`, import.meta.url), 'utf8'));
  const { cases } = only(file, ['cases'], name);
  if (!Array.isArray(cases) || cases.length === 0) throw new TypeError(`${name}: 'cases' must be a list of cases`);
  for (const each of cases) check(each, `${name}: ${mustBeRecord(each, 'a case').name}`);
  return cases as Case[];
}

/** Plugins a case needs, other than `except`. */
export function pluginsOf({ setup }: Case): ReadonlySet<string> {
  const named = setup
    .filter(({ path }) => path.endsWith('/plugins'))
    .map(({ body }) => mustBeRecord(body, 'body').name);
  return new Set(named.map(String));
}

function check(value: unknown, where: string): void {
  const { name, setup, answers = [], steps } = only(value, ['name', 'setup', 'answers', 'steps'], where);
  if (typeof name !== 'string') throw new TypeError(`${where}: a case has a name`);
  for (const call of list(setup, where)) {
    const { refused } = only(call, ['method', 'path', 'body', 'refused'], where);
    if (refused !== undefined) only(refused, ['by', 'status', 'json_has'], where, { all: true });
  }
  for (const answer of list(answers, where)) {
    only(answer, ['path', 'times', 'status', 'headers', 'body', 'chunks', 'delay_ms'], where);
  }
  for (const [place, step] of list(steps, where).entries()) {
    const at = `${where}, step ${place}`;
    const { request, expect, differs } = only(step, ['request', 'repeat', 'wait_ms', 'expect', 'differs'], at);
    only(request, ['method', 'path', 'headers', 'body', 'tls'], at);
    checkExpectation(expect, at);
    if (differs !== undefined) checkExpectation(only(differs, ['by', 'on', 'expect'], at).expect, at);
  }
}

const EXPECTED = ['status', 'json', 'json_has', 'text', 'headers', 'sse', 'closed', 'upstream', 'received'];
const EXPECTED_REQUEST = ['method', 'path', 'query', 'headers', 'body', 'sigv4'];

function checkExpectation(value: unknown, where: string): void {
  const { upstream, received = [] } = only(value, EXPECTED, where);
  if (Object.keys(mustBeRecord(value, where)).length === 0) throw new TypeError(`${where}: expects nothing`);
  for (const request of [upstream ?? {}, ...list(received, where)]) only(request, EXPECTED_REQUEST, where);
}

function only(value: unknown, members: readonly string[], where: string, { all = false } = {}): Row {
  if (!isRecord(value)) throw new TypeError(`${where}: an object with ${members.join(', ')} is due, not ${value}`);
  const other = Object.keys(value).find((member) => !members.includes(member));
  if (other !== undefined) throw new TypeError(`${where}: unknown member '${other}'; known: ${members.join(', ')}`);
  const missing = all ? members.find((member) => !(member in value)) : undefined;
  if (missing !== undefined) throw new TypeError(`${where}: member '${missing}' is missing`);
  return value;
}

function list(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${where}: a list is due, not ${JSON.stringify(value)}`);
  return value;
}
