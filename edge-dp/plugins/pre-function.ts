import { KONG_VERSION } from '../../shared/version.ts';
import { compileFunctions, type PhaseFunctionsConfig } from './phase-functions.ts';
import type { Plugin } from './runtime/plugin.ts';

/** Runs Lua of its config before all other plugins of a phase. */
const preFunction: Plugin<PhaseFunctionsConfig> = {
  name: 'pre-function',
  version: KONG_VERSION,
  priority: 1_000_000,
  compile: compileFunctions('pre-function'),
};

export default preFunction;
