import { LuaReference, type LuaValue } from '../lua/value.ts';
import type { PluginLua } from './plugin-lua.ts';
import { moduleName } from './source.ts';

/**
 * Phases in which a plugin sees requests; with `preread` and `log` sessions that are no HTTP, and with `certificate` what comes before
 * either. The rest of a handler's functions are none of ours or run by themselves.
 */
export const PHASES = [
  'certificate',
  'preread',
  'rewrite',
  'access',
  'response',
  'header_filter',
  'body_filter',
  'log',
] as const;

export type PluginPhase = (typeof PHASES)[number];

/** A handler that is loaded. */
export interface LoadedHandler {
  readonly version: string;
  readonly priority: number;
  readonly phases: ReadonlySet<PluginPhase>;
  /** `(id, configuration)`: keeps a configuration; without one, drops it. */
  readonly keep: LuaReference;
  /** `(phase, id)`: runs a phase with a configuration. */
  readonly run: LuaReference;
}

/** Loads `handler.lua` of a plugin, as data planes do. Throws `LuaFault`, or an error that says what the handler lacks. */
export function loadHandler(lua: PluginLua, name: string): LoadedHandler {
  const handler = lua.require(moduleName(name, 'handler'));
  if (!(handler instanceof Map)) throw new Error('handler.lua must return a table');
  const { VERSION, PRIORITY } = Object.fromEntries(handler);
  release(handler);
  const version = typeof VERSION === 'string' ? /\d+(?:\.\d+)*/.exec(VERSION)?.[0] : undefined;
  if (version === undefined || version.split('.').length > 3) {
    throw new Error(`VERSION must be a text as '1.0.0', found ${shown(VERSION)}`);
  }
  if (typeof PRIORITY !== 'number' || !Number.isInteger(PRIORITY)) {
    throw new Error(`PRIORITY must be an integer, found ${shown(PRIORITY)}`);
  }
  const chunk = lua.machine.load(DISPATCH, '=gateway');
  const [defined, keep, run] = lua.call(chunk, [moduleName(name, 'handler'), PHASES]);
  lua.machine.release(chunk);
  if (!(defined instanceof Map) || !(keep instanceof LuaReference) || !(run instanceof LuaReference)) {
    throw new Error('the handler could not be prepared');
  }
  const phases = new Set(PHASES.filter((phase) => defined.get(phase) === true));
  if (phases.size === 0) throw new Error(`handler.lua has a function for none of the phases ${PHASES.join(', ')}`);
  if (phases.has('response') && (phases.has('header_filter') || phases.has('body_filter'))) {
    throw new Error("phase 'response' cannot be there together with 'header_filter' or 'body_filter'");
  }
  return { version, priority: PRIORITY, phases, keep, run };
}

/** Lets go of what was read with it. */
export function release(value: LuaValue): void {
  if (value instanceof LuaReference) value.machine.release(value);
  else if (value instanceof Map) for (const item of value.values()) release(item);
  else if (Array.isArray(value)) for (const item of value) release(item);
}

function shown(value: LuaValue): string {
  if (typeof value === 'string') return `'${value.slice(0, 40)}'`;
  return typeof value === 'number' ? String(value) : value === undefined ? 'nothing' : `a ${typeof value}`;
}

/** `init_worker` and `configure` run before the first phase that comes after: only then is there a request to run them in. */
const DISPATCH = `
local name, phases = ...
local handler = require(name)
local defined = {}
for _, phase in ipairs(phases) do defined[phase] = type(handler[phase]) == 'function' end
local confs, started, configured = {}, false, false
local function safely(phase, ...)
  if type(handler[phase]) ~= 'function' then return end
  local ok, message = pcall(handler[phase], handler, ...)
  if not ok then kong.log.err(phase, ' failed: ', tostring(message)) end
end
local function keep(id, conf)
  confs[id], configured = conf, false
end
local function run(phase, id)
  if not started then
    started = true
    safely 'init_worker'
  end
  if not configured then
    configured = true
    local all = {}
    for _, conf in pairs(confs) do all[#all + 1] = conf end
    safely('configure', all[1] and all or nil)
  end
  handler[phase](handler, confs[id])
end
return defined, keep, run
`;
