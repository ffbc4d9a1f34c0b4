import type { Settings } from './properties.ts';

/** Whether config may have plugins in Lua: not where a data plane of these very settings serves it and runs no Lua of others. */
export function takesLuaPlugins({ role, untrusted_lua }: Pick<Settings, 'role' | 'untrusted_lua'>): boolean {
  return role === 'control_plane' || untrusted_lua !== 'off';
}
