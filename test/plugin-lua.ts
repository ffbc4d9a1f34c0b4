import { provideDataPlaneLua } from '../edge-dp/hosts/plugin-lua.ts';

// For tests that meet plugins in Lua: what `start` and `config` do first.
provideDataPlaneLua();
