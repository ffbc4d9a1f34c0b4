import { type LuaLimits, LuaMachine } from '../../shared/lua/machine.ts';
import { providedLua } from '../../shared/lua/provided.ts';
import {
  LuaNative,
  type LuaRecord,
  type LuaReference,
  type LuaValue,
  releaseFunctions,
  results,
} from '../../shared/lua/value.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import { slot } from '../plugins/runtime/slot.ts';
import { contextOf, type LuaContext, type LuaSubject } from './context.ts';
import { decodeJson, encodeJson } from './json.ts';
import { jwtDecode, jwtVerify } from './jwt.ts';
import { authenticatedGroups, client, setAuthenticatedGroups } from './kong/client.ts';
import { configuration } from './kong/configuration.ts';
import { authorities } from './kong/db.ts';
import { serialize, setSerializeValue } from './kong/log.ts';
import { ip, node, plugin, record, router, VERSION_NUMBER, write } from './kong/node.ts';
import { request } from './kong/request.ts';
import { response } from './kong/response.ts';
import { service } from './kong/service.ts';
import { sharedByPlugins, unsetShared } from './kong/shared.ts';
import { parseVaultReference, vaultGet } from './kong/vault.ts';
import { LIBRARIES } from './libraries.ts';
import { bit } from './ngx/bits.ts';
import { moreCodecs } from './ngx/codecs.ts';
import { kept, setKept } from './ngx/kept.ts';
import { LEVELS, ngx } from './ngx/ngx.ts';
import { next, replace } from './ngx/regex.ts';
import { lookups } from './ngx/request.ts';
import { GATEWAY_PRELUDE } from './prelude/prelude.ts';
import { fetchNative } from './resty-http.ts';
import { endConnectionsOf, redisNatives } from './resty-redis.ts';
import { templateCaptures, templateHeaders } from './template-inputs.ts';

/** A Lua machine with `kong` and `ngx`, as Lua on data planes finds it. */
export interface GatewayLua {
  readonly machine: LuaMachine;
  /** Puts a chunk into the sandbox: `(chunk, requires, environment)`. */
  readonly sandbox: LuaReference;
  /** Makes of a chunk that gives the values of a template's expressions one that gives them as texts. */
  readonly template: LuaReference;
  /** Adds a module for `require`: `(name, source)`. */
  readonly provide: LuaReference;
  /** Lua's own `require`. */
  readonly require: LuaReference;
}

export function gatewayLua(limits?: LuaLimits): GatewayLua {
  const lua = new LuaMachine(providedLua(), limits);
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
  const given = lua.run(setUp, [prelude(lua)], null, 1e9);
  lua.release(setUp);
  const [sandbox, template, provide, require] = given instanceof Promise ? [] : given;
  const own = (value: LuaValue): LuaReference => {
    if (!isFunction(value, lua)) throw new Error('the prelude did not give its functions');
    return value;
  };
  return {
    machine: lua,
    sandbox: own(sandbox),
    template: own(template),
    provide: own(provide),
    require: own(require),
  };
}

/** A function of this machine. */
export function isFunction(value: LuaValue, lua: LuaMachine): value is LuaReference {
  return typeof value === 'object' && value !== null && 'machine' in value && value.machine === lua;
}

/** Tables that each configuration has of its own. */
const OF_A_PLUGIN: ReadonlySet<string> = new Set(['plugin', 'template']);

function prelude(lua: LuaMachine): LuaRecord {
  return {
    ...lookups,
    ...moreCodecs,
    bit,
    log: write,
    telemetry_log: record,
    levels: LEVELS,
    refused: {},
    libraries: LIBRARIES,
    jwt_decode: jwtDecode,
    jwt_verify: jwtVerify,
    fetch: fetchNative,
    redis: redisNatives,
    re_next: next,
    re_replace: replace,
    table: new LuaNative('table', (call) => {
      const { tables, site } = contextOf(call);
      const name = call.text(1);
      return tables.get(OF_A_PLUGIN.has(name) ? `${name} ${site.place.id}` : name, lua);
    }),
    configuration,
    template_headers: templateHeaders,
    template_captures: templateCaptures,
    authenticated_groups: authenticatedGroups,
    set_authenticated_groups: setAuthenticatedGroups,
    shared: sharedByPlugins,
    unset_shared: unsetShared,
    set_log_value: setSerializeValue,
    serialize,
    memory_used: new LuaNative('memory_used', () => lua.memory.used),
    /** More is in use than is left by a collection, which comes earlier, but for what is remembered. */
    memory_scarce: new LuaNative('memory_scarce', () => lua.memory.used > SCARCE * lua.limits.memory),
    subsystem: new LuaNative('subsystem', (call) => (contextOf(call).session === null ? 'http' : 'stream')),
    kept,
    set_kept: setKept,
    authorities,
    vault_get: vaultGet,
    parse_reference: parseVaultReference,
    timer: new LuaNative('timer', (call) => {
      const context = contextOf(call);
      const wait = Math.min(Math.max(call.number(1), 0) * 1000, LONGEST_WAIT);
      if (!mayWait(context.subject)) return results(undefined, 'too many pending timers');
      const fn = call.function(2);
      context.subject.waitUntil(later(fn, wait, context.forTimer()));
      return true;
    }),
    cjson: {
      null: ngx.null,
      encode: new LuaNative('encode', (call) => {
        const text = encodeJson(call.value(1), { emptyAsLists: call.truth(2), bareSlashes: call.truth(3) });
        call.charge(text.length / 4);
        return text;
      }),
      decode: new LuaNative('decode', (call) => {
        const text = call.text(1);
        call.charge(text.length / 2);
        return decodeJson(text, call.truth(2));
      }),
    },
  };
}

/** The part of its memory beyond which little is left for scripts. */
const SCARCE = 5 / 8;

/** Milliseconds, beyond which a timer of JavaScript's goes off at once. */
const LONGEST_WAIT = 2 ** 31 - 1;

/** Timers that one request sets at once, its timers' own among them: each has a budget of its own, and may set further ones. */
const TIMERS = 64;
/** After so many milliseconds there is room for one more. */
const ANOTHER_TIMER = 1000;
const timers = slot<{ left: number; at: number }>();

function mayWait(subject: LuaSubject): boolean {
  const now = Date.now();
  const set = timers.get(subject) ?? { left: TIMERS, at: now };
  timers.set(subject, set);
  const more = Math.max(Math.floor((now - set.at) / ANOTHER_TIMER), 0);
  set.left = Math.min(set.left + more, TIMERS);
  set.at = set.left === TIMERS ? now : set.at + more * ANOTHER_TIMER;
  if (set.left === 0) return false;
  set.left -= 1;
  return true;
}

/** `ngx.timer.at`: after the answer, in the time the request leaves. */
async function later(fn: LuaReference, wait: number, context: LuaContext): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, wait));
  const { machine: lua } = fn;
  if (lua.lost !== null) return;
  try {
    releaseFunctions(await lua.run(fn, [], context));
  } catch (error) {
    context.site.services.log('error', `${context.site.plugin}: a timer failed: ${String(error)}`);
  } finally {
    lua.release(fn);
    endConnectionsOf(context);
  }
}
