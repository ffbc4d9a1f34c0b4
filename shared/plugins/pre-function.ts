import { definePlugin } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { PHASES, phaseFunctionNeeds, phaseFunctions, somePhase } from './fields/phase-functions.ts';

/** Runs Lua before all other plugins of a phase. */
export const preFunction = definePlugin({
  name: 'pre-function',
  version: KONG_VERSION,
  priority: 1000000,
  phases: PHASES,
  fields: phaseFunctions('pre-function'),
  entity_checks: somePhase,
  needs: phaseFunctionNeeds,
});
