import { providePluginLua } from '../../shared/lua-plugins/provided.ts';
import { pluginLua } from '../lua/plugin-lua.ts';

/** Has plugins in Lua loaded, to be checked, into machines as data planes have them. */
export function provideDataPlaneLua(): void {
  providePluginLua(pluginLua);
}
