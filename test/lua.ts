import { luaModules } from '../cp/lua/modules.ts';
import { provideLua } from '../shared/lua/provided.ts';

// What cp/cli.ts does first: schemas check the Lua in plugins' config.
provideLua(luaModules);
