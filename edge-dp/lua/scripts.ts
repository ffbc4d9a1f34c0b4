import { LuaMachine } from '../../shared/lua/machine.ts';
import { providedLua } from '../../shared/lua/provided.ts';
import { LuaEnd, LuaNative, type LuaRecord, type LuaReference, type LuaValue } from '../../shared/lua/value.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { Answer } from '../plugins/runtime/plugin.ts';
import type { LuaSettings } from '../settings.ts';
import { contextOf, type LuaContext } from './context.ts';
import { decodeJson, encodeJson } from './json.ts';
import { authenticatedGroups, client, setAuthenticatedGroups } from './kong/client.ts';
import { ip, node, plugin, router, VERSION_NUMBER, write } from './kong/node.ts';
import { request } from './kong/request.ts';
import { response } from './kong/response.ts';
import { service } from './kong/service.ts';
import { bit } from './ngx/bits.ts';
import { moreCodecs } from './ngx/codecs.ts';
import { LEVELS, ngx } from './ngx/ngx.ts';
import { next, replace } from './ngx/regex.ts';
import { lookups } from './ngx/request.ts';
import { GATEWAY_PRELUDE } from './prelude.ts';
import { fetchNative } from './resty-http.ts';
import { templateCaptures, templateHeaders } from './template-inputs.ts';

/**
 * Lua of config in this isolate: one machine for all of it, made when the first script is compiled and made anew should it break
 * down.
 */
let gateway: GatewayLua | null = null;

export interface GatewayLua {
  readonly machine: LuaMachine;
  /** Puts a chunk into the sandbox. */
  readonly sandbox: LuaReference;
  /** Makes of a chunk that gives the values of a template's expressions one that gives them as texts. */
  readonly template: LuaReference;
}

/** The machine that runs Lua now. */
export function current(): GatewayLua {
  if (gateway === null || gateway.machine.lost !== null) gateway = gatewayMachine();
  return gateway;
}

/** A chunk of Lua from config, compiled when it is made. Throws `LuaSyntaxError`, and where `untrusted_lua` is off. */
export class Script {
  readonly #source: string;
  readonly #settings: LuaSettings;
  #compiled: LuaReference;
  /** Scripts that give a function are run once; the function takes their place. */
  #settled = false;

  constructor(source: string, settings: LuaSettings) {
    this.#source = source;
    this.#settings = settings;
    if (settings.untrusted === 'off') throw new Error(LUA_IS_OFF);
    this.#compiled = this.#compile(current());
  }

  #compile({ machine, sandbox }: GatewayLua): LuaReference {
    const chunk = machine.load(this.#source);
    if (this.#settings.untrusted === 'on') return chunk;
    const { requires, environment } = this.#settings;
    const boxed = machine.run(sandbox, [chunk, requires, environment], null);
    machine.release(chunk);
    const [fn] = boxed instanceof Promise ? [] : boxed;
    if (!isFunction(fn, machine)) throw new Error('the sandbox gave no function');
    return fn;
  }

  /**
   * Runs it for a phase of a request: what it answers the request with, or undefined. A promise once it waits. Throws
   * `LuaFault` for an error in Lua.
   */
  run(context: LuaContext): Answer | undefined | Promise<Answer | undefined> {
    const now = current();
    if (this.#compiled.machine !== now.machine) {
      this.#compiled = this.#compile(now);
      this.#settled = false;
    }
    return ended(context, () => this.#call(now.machine, context));
  }

  #call(lua: LuaMachine, context: LuaContext): readonly LuaValue[] | Promise<readonly LuaValue[]> {
    const outcome = lua.run(this.#compiled, NONE, context);
    if (this.#settled) return outcome;
    return outcome instanceof Promise
      ? outcome.then((values) => this.#settle(lua, context, values))
      : this.#settle(lua, context, outcome);
  }

  /** A chunk that gives a function: its body ran once, to prepare; from now on the function is what runs. */
  #settle(lua: LuaMachine, context: LuaContext, values: readonly LuaValue[]) {
    this.#settled = true;
    const [given] = values;
    if (!isFunction(given, lua)) return values;
    lua.release(this.#compiled);
    this.#compiled = given;
    return lua.run(given, NONE, context);
  }

  close(): void {
    if (this.#compiled.machine.lost === null) this.#compiled.machine.release(this.#compiled);
  }
}

const NONE: readonly LuaValue[] = [];

/** Kong's words. */
export const LUA_IS_OFF =
  "loading of untrusted Lua code disabled because 'untrusted_lua' config option is set to 'off'";

export function isFunction(value: LuaValue, lua: LuaMachine): value is LuaReference {
  return typeof value === 'object' && value !== null && 'machine' in value && value.machine === lua;
}

/** The answer that a run left in its context, if it ended the request. */
function ended(
  context: LuaContext,
  run: () => readonly LuaValue[] | Promise<readonly LuaValue[]>,
): Answer | undefined | Promise<Answer | undefined> {
  const answered = (error: unknown): Answer | undefined => {
    if (error instanceof LuaEnd) return context.answer ?? undefined;
    throw error;
  };
  try {
    const outcome = run();
    return outcome instanceof Promise ? outcome.then(() => undefined, answered) : undefined;
  } catch (error) {
    return answered(error);
  }
}

function gatewayMachine(): GatewayLua {
  const lua = new LuaMachine(providedLua());
  lua.define('kong', {
    request,
    response,
    service,
    client,
    router,
    node,
    plugin,
    ip,
    version: KONG_VERSION,
    version_num: VERSION_NUMBER,
    configuration: { role: 'data_plane', database: 'off' },
  });
  lua.define('ngx', ngx);
  const setUp = lua.load(GATEWAY_PRELUDE, '=gateway');
  const given = lua.run(setUp, [prelude()], null, 1e9);
  lua.release(setUp);
  const [sandbox, template] = given instanceof Promise ? [] : given;
  if (!isFunction(sandbox, lua) || !isFunction(template, lua)) throw new Error('the prelude gave no sandbox');
  return { machine: lua, sandbox, template };
}

/** Tables that each configuration has of its own. */
const OF_A_PLUGIN: ReadonlySet<string> = new Set(['plugin', 'template']);

function prelude(): LuaRecord {
  return {
    ...lookups,
    ...moreCodecs,
    bit,
    log: write,
    levels: LEVELS,
    refused: {},
    fetch: fetchNative,
    re_next: next,
    re_replace: replace,
    table: new LuaNative('table', (call) => {
      const { tables, site } = contextOf(call);
      const name = call.text(1);
      return tables.get(OF_A_PLUGIN.has(name) ? `${name} ${site.place.id}` : name);
    }),
    template_headers: templateHeaders,
    template_captures: templateCaptures,
    authenticated_groups: authenticatedGroups,
    set_authenticated_groups: setAuthenticatedGroups,
    set_log_value: new LuaNative('set_serialize_value', (call) => {
      contextOf(call).tables.logValues.set(call.text(1), call.value(2));
      return undefined;
    }),
    timer: new LuaNative('timer', (call) => {
      const context = contextOf(call);
      const fn = call.function(2);
      const wait = Math.max(call.number(1), 0) * 1000;
      context.request.waitUntil(later(fn, wait, context));
      return undefined;
    }),
    cjson: {
      null: ngx.null,
      encode: new LuaNative('encode', (call) => {
        const text = encodeJson(call.value(1));
        call.charge(text.length / 4);
        return text;
      }),
      decode: new LuaNative('decode', (call) => {
        const text = call.text(1);
        call.charge(text.length / 2);
        return decodeJson(text);
      }),
    },
  };
}

/** `ngx.timer.at`: after the answer, in the time the request leaves. */
async function later(fn: LuaReference, wait: number, context: LuaContext): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, wait));
  const { machine: lua } = fn;
  if (lua.lost !== null) return;
  try {
    await lua.run(fn, NONE, context);
  } catch (error) {
    context.site.services.log('error', `${context.site.plugin}: a timer failed: ${String(error)}`);
  } finally {
    lua.release(fn);
  }
}
