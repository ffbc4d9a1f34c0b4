import { createHmac } from 'node:crypto';
import { isRecord, mustBeRecord } from '../../../../shared/record.ts';
import type { CaseRequest } from './case.ts';
import type { CaseAnswer } from './exchange.ts';

/** What values of a step may refer to. */
export interface ValueContext {
  /** Answers of the case's steps so far; in expectations the last is the step's own. */
  readonly answers: readonly CaseAnswer[];
  /** Unix milliseconds, one clock per step. */
  readonly now: number;
}

/** A request ready to be sent. */
export interface ResolvedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | null;
  readonly tls: boolean;
}

/** Works out a request's values; a signature over headers last, since it covers the others. */
export function resolveRequest(request: CaseRequest, context: ValueContext): ResolvedRequest {
  const path = String(resolve(request.path, context));
  const body = resolve(request.body, context);
  const headers = Object.entries(request.headers).flatMap(([name, value]) => {
    const resolved = isSignature(value) ? value : resolve(value, context);
    return (Array.isArray(resolved) ? resolved : [resolved]).map((each: unknown) => [name, each] as const);
  });
  const isJson = body !== undefined && typeof body !== 'string';
  if (isJson && !headers.some(([name]) => name.toLowerCase() === 'content-type')) {
    headers.push(['Content-Type', 'application/json']);
  }
  const plain = headers.map(([name, value]) => [name, isRecord(value) ? '' : String(value)] as const);
  return {
    method: request.method,
    path,
    headers: headers.map(([name, value]) => [
      name,
      isSignature(value) ? signature(mustBeRecord(value.$hmac, '$hmac'), request.method, path, plain) : String(value),
    ]),
    body: body === undefined ? null : isJson ? JSON.stringify(body) : body,
    tls: request.tls ?? false,
  };
}

/** The value with everything that begins with `$` worked out, at any depth. */
export function resolve(value: unknown, context: ValueContext): unknown {
  if (Array.isArray(value)) return value.map((each) => resolve(each, context));
  if (!isRecord(value)) return value;
  const [[name, operand] = ['', undefined], ...others] = Object.entries(value);
  if (!name.startsWith('$') || others.length > 0) {
    return Object.fromEntries(Object.entries(value).map(([member, each]) => [member, resolve(each, context)]));
  }
  const work = operations[name];
  if (work === undefined) throw new TypeError(`unknown value '${name}'; known: ${Object.keys(operations).join(', ')}`);
  return work(operand, context);
}

const operations: Readonly<Record<string, (operand: unknown, context: ValueContext) => unknown>> = {
  $from: (operand, { answers }) => from(operand, answers),
  $concat: (operand, context) => parts(operand, context).join(''),
  $repeat(operand, context) {
    const [text = '', times = 0] = parts(operand, context);
    return String(text).repeat(Number(times));
  },
  $now: (seconds, { now }) => Math.floor(now / 1000) + Number(seconds),
  $http_date: (seconds, { now }) => new Date(now + Number(seconds) * 1000).toUTCString(),
  $jwt(operand, context) {
    const { header, claims, secret, prefix = '' } = mustBeRecord(resolve(operand, context), '$jwt');
    const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${prefix}${signed}.${createHmac('sha256', String(secret)).update(signed).digest('base64url')}`;
  },
  $webhook(operand, context) {
    const { secret, id, now, payload } = mustBeRecord(resolve(operand, context), '$webhook');
    const signed = `${id}.${Math.floor(context.now / 1000) + Number(now)}.${payload}`;
    return `v1,${createHmac('sha256', String(secret)).update(signed).digest('base64')}`;
  },
};

function parts(operand: unknown, context: ValueContext): readonly unknown[] {
  const resolved = resolve(operand, context);
  if (!Array.isArray(resolved)) throw new TypeError(`a list is due, not ${JSON.stringify(operand)}`);
  return resolved;
}

/** `[step, "header.<name>" | "json.<path>", regex?]`. */
function from(operand: unknown, answers: readonly CaseAnswer[]): unknown {
  const [step, where, pattern]: unknown[] = Array.isArray(operand) ? operand : [];
  const answer = answers[Number(step)];
  if (answer === undefined) throw new RangeError(`step ${step} has no answer yet`);
  const [kind = '', ...path] = String(where).split('.');
  const found =
    kind === 'header'
      ? answer.headers[path.join('.')]
      : path.reduce<unknown>((value, member) => (isRecord(value) ? value[member] : undefined), parsed(answer.text));
  if (found === undefined) throw new RangeError(`the answer of step ${step} has no ${where}: ${answer.text}`);
  if (pattern === undefined) return found;
  const group = new RegExp(String(pattern)).exec(String(found))?.[1];
  if (group === undefined) throw new RangeError(`'${found}' of step ${step} does not fit ${pattern}`);
  return group;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isSignature(value: unknown): value is { readonly $hmac: unknown } {
  return isRecord(value) && '$hmac' in value;
}

/** What hmac-auth takes as Authorization. */
function signature(
  { username, secret, algorithm, headers }: Readonly<Record<string, unknown>>,
  method: string,
  path: string,
  sent: readonly (readonly [string, string])[],
): string {
  const names = Array.isArray(headers) ? headers.map(String) : [];
  const lines = names.map((name) => {
    if (name === 'request-line') return `${method} ${path} HTTP/1.1`;
    if (name === '@request-target') return `@request-target: ${method.toLowerCase()} ${path}`;
    return `${name}: ${sent.find(([each]) => each.toLowerCase() === name.toLowerCase())?.[1] ?? ''}`;
  });
  const digest = createHmac(String(algorithm).replace('hmac-', ''), String(secret))
    .update(lines.join('\n'))
    .digest('base64');
  return `hmac username="${username}", algorithm="${algorithm}", headers="${names.join(' ')}", signature="${digest}"`;
}
