import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { PHASES, phaseFunctions, somePhase } from './fields/phase-functions.ts';

/** Runs Lua before all other plugins of a phase. */
export const preFunction = definePlugin({
  name: 'pre-function',
  version: '3.9.3',
  priority: 1000000,
  phases: PHASES,
  fields: phaseFunctions('pre-function'),
  entity_checks: somePhase,
});

export type PreFunctionConfig = Entity<typeof preFunction>['config'];
