import { isRecord } from '../../../../shared/record.ts';
import type { Expectation, ExpectedRequest } from './case.ts';
import type { CaseAnswer } from './exchange.ts';
import { signatureProblem } from './signature-v4.ts';
import type { ReceivedRequest } from './upstream.ts';

/** What is not as expected of an answer and of the requests its step sent upstream, one line each; empty: all is. */
export function mismatches(
  expected: Expectation,
  answer: CaseAnswer,
  received: readonly ReceivedRequest[],
): readonly string[] {
  const problems: string[] = [];
  const tell = (problem: string): void => void problems.push(problem);
  if (answer.closed !== (expected.closed ?? false)) {
    tell(answer.closed ? 'the connection was closed without an answer' : `answered with ${answer.status}, not closed`);
    return problems;
  }
  if (expected.status !== undefined) compare(expected.status, answer.status, 'status', tell);
  if ('text' in expected) compare(expected.text, answer.text, 'text', tell);
  if ('json' in expected) compare(expected.json, json(answer.text), 'json', tell);
  if ('json_has' in expected) compare(expected.json_has, json(answer.text), 'json', tell, 'subset');
  if (expected.sse !== undefined) compare(expected.sse, events(answer.text), 'events', tell);
  compareHeaders(expected.headers ?? {}, answer.headers, 'header', tell);
  if (expected.upstream === null && received.length > 0) {
    tell(
      `nothing was to be sent upstream, but ${received.map(({ method, target }) => `${method} ${target}`).join()} was`,
    );
  }
  if (expected.upstream) compareRequest(expected.upstream, received.at(-1), 'upstream', tell);
  if (expected.received !== undefined) {
    if (received.length !== expected.received.length) {
      tell(`${expected.received.length} requests were to be sent upstream, ${received.length} were`);
    }
    for (const [place, request] of expected.received.entries()) {
      compareRequest(request, received[place], `received[${place}]`, tell);
    }
  }
  return problems;
}

type Tell = (problem: string) => void;

function compareRequest(expected: ExpectedRequest, request: ReceivedRequest | undefined, at: string, tell: Tell): void {
  if (request === undefined) {
    tell(`${at}: no request arrived`);
    return;
  }
  const { method, target, headers, body } = request;
  const [, path = '', query = ''] = /^([^?]*)\??(.*)$/s.exec(target) ?? [];
  if (expected.method !== undefined) compare(expected.method, method, `${at}.method`, tell);
  if (expected.path !== undefined) compare(expected.path, path, `${at}.path`, tell);
  if (expected.query !== undefined) compareText(expected.query, query, `${at}.query`, tell);
  if (expected.body !== undefined) compareText(expected.body, body, `${at}.body`, tell);
  compareHeaders(expected.headers ?? {}, headers, `${at}.header`, tell);
  const problem = expected.sigv4 && signatureProblem(expected.sigv4, request);
  if (problem !== undefined) tell(`${at}.sigv4: ${problem}`);
}

/** Null: the header must be absent. */
function compareHeaders(
  expected: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>>,
  at: string,
  tell: Tell,
): void {
  for (const [name, value] of Object.entries(expected)) {
    compare(value ?? undefined, headers[name.toLowerCase()], `${at} ${name}`, tell);
  }
}

/** Text as it is, by a pattern, or by what it means as JSON or as a form. */
function compareText(expected: unknown, text: string, at: string, tell: Tell): void {
  if (isRecord(expected) && 'json' in expected) compare(expected.json, json(text), at, tell);
  else if (isRecord(expected) && 'form' in expected) compare(expected.form, form(text), at, tell);
  else compare(expected, text, at, tell);
}

/** `{"match": pattern}` stands for any text or number that the pattern is found in. */
function compare(
  expected: unknown,
  actual: unknown,
  at: string,
  tell: Tell,
  objects: 'whole' | 'subset' = 'whole',
): void {
  if (isRecord(expected) && typeof expected.match === 'string' && Object.keys(expected).length === 1) {
    const isText = typeof actual === 'string' || typeof actual === 'number';
    if (!isText || !new RegExp(expected.match).test(String(actual))) {
      tell(`${at}: ${show(actual)} does not fit /${expected.match}/`);
    }
    return;
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) tell(differs(expected, actual, at));
    else for (const [place, each] of expected.entries()) compare(each, actual[place], `${at}[${place}]`, tell);
    return;
  }
  if (!isRecord(expected)) {
    if (expected !== actual) tell(differs(expected, actual, at));
    return;
  }
  if (!isRecord(actual)) {
    tell(differs(expected, actual, at));
    return;
  }
  for (const [member, each] of Object.entries(expected)) {
    if (member in actual) compare(each, actual[member], `${at}.${member}`, tell, objects);
    else tell(`${at}.${member} is absent, expected ${show(each)}`);
  }
  const surplus = Object.keys(actual).filter((member) => !(member in expected));
  if (objects === 'whole' && surplus.length > 0) tell(`${at} has ${surplus.join(', ')} too: ${show(actual)}`);
}

function differs(expected: unknown, actual: unknown, at: string): string {
  return `${at}: ${show(actual)}, expected ${show(expected)}`;
}

function show(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return `no JSON: ${text}`;
  }
}

/** Names to a value, a list of values, or true where there was no `=`. */
function form(text: string): Readonly<Record<string, unknown>> {
  const decoded = (part: string): string => decodeURIComponent(part.replaceAll('+', ' '));
  const values = new Map<string, unknown[]>();
  for (const part of text.split('&')) {
    const equals = part.indexOf('=');
    const name = decoded(equals < 0 ? part : part.slice(0, equals));
    values.set(name, [...(values.get(name) ?? []), equals < 0 ? true : decoded(part.slice(equals + 1))]);
  }
  return Object.fromEntries([...values].map(([name, found]) => [name, found.length === 1 ? found[0] : found]));
}

/** The `data:` lines of an event stream, as JSON where they are. */
function events(text: string): readonly unknown[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trim())
    .map((data) => {
      try {
        return JSON.parse(data);
      } catch {
        return data;
      }
    });
}
