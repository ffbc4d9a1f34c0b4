import { LuaNative, type LuaValue } from '../../../shared/lua/value.ts';
import type { LuaSettings } from '../../settings.ts';
import { LuaContext } from '../context.ts';

/** What `kong.configuration` has of the node's settings; nothing while nobody's request, nor log, is at hand. */
export const configuration = new LuaNative('configuration', (call) => {
  const { host } = call;
  if (!(host instanceof LuaContext) || call.type(1) !== 'string') return undefined;
  const setting = SETTINGS.get(call.text(1));
  return setting === undefined ? undefined : setting(host.site.services.lua);
});

const SETTINGS = new Map<string, (lua: LuaSettings) => LuaValue>([
  ['plugins', ({ plugins = ['bundled'] }) => [...plugins]],
  ['untrusted_lua', ({ untrusted }) => untrusted],
  ['untrusted_lua_sandbox_requires', ({ requires }) => [...requires]],
  ['untrusted_lua_sandbox_environment', ({ environment }) => [...environment]],
]);
