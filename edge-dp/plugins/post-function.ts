import { KONG_VERSION } from '../../shared/version.ts';
import { compileFunctions, type PhaseFunctionsConfig } from './phase-functions.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Runs Lua of its config after all other plugins of a phase. */
const postFunction: Plugin<PhaseFunctionsConfig> = {
  name: 'post-function',
  version: KONG_VERSION,
  priority: -1000,
  compile: compileFunctions('post-function'),
};

export default postFunction;
