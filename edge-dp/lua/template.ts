import { expressionsOf } from '../../shared/head.ts';
import type { LuaValue } from '../../shared/lua/value.ts';
import { messageOf } from '../../shared/thrown.ts';
import { eachLineOf, FieldList, type HeaderFields } from '../http/fields.ts';
import type { GatewayRequest } from '../plugins/runtime/request.ts';
import { queryValues } from '../proxy/query.ts';
import type { LuaSettings } from '../settings.ts';
import { LuaContext, type LuaSite } from './context.ts';
import { type GatewayLua, isFunction } from './gateway-lua.ts';
import { HeldFunction } from './held-function.ts';
import { requestTables } from './request-tables.ts';
import { current, LUA_IS_OFF } from './scripts.ts';

/**
 * A text with `$(…)` in it, each a Lua expression over `headers`, `query_params`, `uri_captures` and `shared`; nil and false are
 * empty. What only looks one of the first three up is done without Lua.
 */
export interface Template {
  /** The text itself, where there is nothing to fill in. */
  readonly constant: string | null;
  /** Throws `LuaFault`; a promise where Lua waits. */
  render(inputs: TemplateInputs): string | Promise<string>;
  close(): void;
}

/**
 * One that does not compile, or needs Lua where it is off, fails with each request, as in Kong: the control plane takes those of
 * headers and paths unread.
 */
export function compileTemplate(text: string, settings: LuaSettings): Template {
  const found = expressionsOf(text);
  if (found.length === 0) return { constant: text, render: () => text, close: () => undefined };
  if (settings.untrusted === 'off') return failing(text, LUA_IS_OFF);
  const fixed = found.map(({ start }, i) => text.slice(found[i - 1]?.end ?? 0, start));
  const last = text.slice(found.at(-1)?.end ?? 0);
  const expressions = found.map(({ start, end }) => text.slice(start + 2, end - 1));
  const fill = (values: readonly string[]): string =>
    fixed.map((before, i) => before + (values[i] ?? '')).join('') + last;

  const lookUps = expressions.map(lookUp);
  if (lookUps.every((read) => read !== null)) {
    return { constant: null, render: (inputs) => fill(lookUps.map((read) => read(inputs))), close: () => undefined };
  }
  let lua: Expressions;
  try {
    lua = new Expressions(expressions, settings);
  } catch (error) {
    return failing(text, messageOf(error));
  }
  return {
    constant: null,
    render(inputs) {
      const values = lua.values(inputs);
      return values instanceof Promise ? values.then(fill) : fill(values);
    },
    close: () => lua.close(),
  };
}

function failing(text: string, why: string): Template {
  const problem = `the template ${JSON.stringify(text)} cannot be filled in: ${why}`;
  console.warn(`${problem}; requests it is for are answered 500`);
  return {
    constant: null,
    render() {
      throw new Error(problem);
    },
    close: () => undefined,
  };
}

/** What the templates of one configuration see of one request. */
export class TemplateInputs {
  readonly request: GatewayRequest;
  readonly #site: LuaSite;
  #context: LuaContext | null = null;
  #headers: HeaderFields | null = null;

  constructor(request: GatewayRequest, site: LuaSite) {
    this.request = request;
    this.#site = site;
  }

  /** As they were when a template first looked at them. */
  get headers(): HeaderFields {
    this.#headers ??= this.request.headers;
    return this.#headers;
  }

  /** The request's headers are about to change: what was looked at stays. */
  keepHeaders(): void {
    if (this.#headers !== this.request.headers) return;
    const kept = new FieldList();
    for (const [name, value] of eachLineOf(this.#headers)) kept.append(name, value);
    this.#headers = kept;
    if (this.#context !== null) this.#context.templateHeaders = kept;
  }

  get lua(): LuaContext {
    // Lua keeps its own copy of them from its first look on.
    this.#context ??= new LuaContext('access', this.#site, this.request, requestTables(this.request));
    this.#context.templateHeaders = this.#headers;
    return this.#context;
  }
}

type LookUp = (inputs: TemplateInputs) => string;

const PLAIN =
  /^\s*(headers|query_params|uri_captures)\s*(?:\.\s*([A-Za-z_]\w*)|\[\s*(?:"([^"\\\r\n]*)"|'([^'\\\r\n]*)'|(0|[1-9]\d{0,3}))\s*\])\s*$/;

/** An expression that is nothing but a name in a table; null for others. */
function lookUp(expression: string): LookUp | null {
  const [, table, field, quoted, singleQuoted, number] = PLAIN.exec(expression) ?? [];
  const name = field ?? quoted ?? singleQuoted;
  if (table === 'uri_captures') {
    if (name === undefined) return ({ request }) => groupOf(request, Number(number)) ?? '';
    return ({ request: { captures } }) => (Object.hasOwn(captures.named, name) ? (captures.named[name] ?? '') : '');
  }
  if (name === undefined) return null;
  if (table === 'headers') return headerLookUp(name);
  return table === 'query_params' ? ({ request }) => String(queryValues(request.query, name)[0] ?? '') : null;
}

/** Group 0 is all that the route matched, where it has groups. */
function groupOf({ captures: { positional }, matchedPath }: GatewayRequest, number: number): string | null | undefined {
  if (number > 0) return positional[number - 1];
  return positional.length === 0 ? null : matchedPath;
}

/** Names are in lower case; underscores stand for dashes where no name has them. */
function headerLookUp(name: string): LookUp {
  const spelt = name.toLowerCase().replaceAll('_', '-');
  if (spelt === name) return ({ headers }) => headers.get(name) ?? '';
  return ({ headers }) => headers.get(name) ?? headers.get(spelt) ?? '';
}

/** The expressions of one template as one chunk of Lua. */
class Expressions {
  readonly #source: string;
  readonly #settings: LuaSettings;
  #compiled: HeldFunction;
  #isClosed = false;

  constructor(expressions: readonly string[], settings: LuaSettings) {
    // A line break ends a comment at the end of an expression.
    this.#source = `return ${expressions.map((expression) => `(${expression}\n) or ''`).join(', ')}`;
    this.#settings = settings;
    this.#compiled = this.#compile(current());
  }

  #compile({ machine, template }: GatewayLua): HeldFunction {
    const chunk = machine.load(this.#source);
    const { untrusted, requires, environment } = this.#settings;
    const given = machine.run(template, [chunk, untrusted === 'on', requires, environment], null);
    machine.release(chunk);
    const [fn] = given instanceof Promise ? [] : given;
    if (!isFunction(fn, machine)) throw new Error('the template gave no function');
    return new HeldFunction(fn, { once: this.#isClosed });
  }

  values(inputs: TemplateInputs): readonly string[] | Promise<readonly string[]> {
    const outcome = this.#ready().use((fn) => fn.machine.run(fn, [], inputs.lua));
    return outcome instanceof Promise ? outcome.then((values) => values.map(textOf)) : outcome.map(textOf);
  }

  #ready(): HeldFunction {
    const now = current();
    if (!this.#isClosed && this.#compiled.machine === now.machine) return this.#compiled;
    const compiled = this.#compile(now);
    if (!this.#isClosed) this.#compiled = compiled;
    return compiled;
  }

  /** Requests that began before may fill it in all the same: it is compiled for each. */
  close(): void {
    this.#isClosed = true;
    this.#compiled.close();
  }
}

function textOf(value: LuaValue): string {
  return value instanceof Uint8Array ? UTF8.decode(value) : String(value);
}

const UTF8 = new TextDecoder();
