import { definePlugin } from '../schema/vocabulary.ts';
import { KONG_VERSION } from '../version.ts';
import { PHASES, phaseFunctionNeeds, phaseFunctions, somePhase } from './fields/phase-functions.ts';

/** Runs Lua after all other plugins of a phase. */
export const postFunction = definePlugin({
  name: 'post-function',
  version: KONG_VERSION,
  priority: -1000,
  phases: PHASES,
  fields: phaseFunctions('post-function'),
  entity_checks: somePhase,
  needs: phaseFunctionNeeds,
});
