import { definePlugin, type Entity } from '../schema/vocabulary.ts';
import { PHASES, phaseFunctions, somePhase } from './fields/phase-functions.ts';

/** Runs Lua after all other plugins of a phase. */
export const postFunction = definePlugin({
  name: 'post-function',
  version: '3.9.3',
  priority: -1000,
  phases: PHASES,
  fields: phaseFunctions('post-function'),
  entity_checks: somePhase,
});

export type PostFunctionConfig = Entity<typeof postFunction>['config'];
