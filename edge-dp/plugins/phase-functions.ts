import type { LuaContext, LuaSite } from '../lua/context.ts';
import { phaseHooks } from '../lua/phase-hooks.ts';
import { Script } from '../lua/scripts.ts';
import type { Answer, Plugin } from './runtime/plugin.ts';

const PHASES = ['certificate', 'rewrite', 'access', 'header_filter', 'body_filter', 'log'] as const;

/** What pre-function and post-function are configured with: Lua sources by phase. */
export type PhaseFunctionsConfig = Readonly<Record<(typeof PHASES)[number], readonly string[]>>;

/** Runs the functions of each phase, one after the other; one that answers the request, or fails, is the last. */
export const compileFunctions =
  (plugin: string): Plugin<PhaseFunctionsConfig>['compile'] =>
  (config, place, services) => {
    const site: LuaSite = { plugin, place, services };
    const scripts = new Map(
      PHASES.filter((phase) => config[phase].length > 0).map((phase) => [
        phase as LuaContext['phase'],
        config[phase].map((source) => new Script(source, services.lua)),
      ]),
    );
    return {
      ...phaseHooks(site, new Set(scripts.keys()), (context) => runAll(scripts.get(context.phase) ?? [], context)),
      close() {
        for (const script of [...scripts.values()].flat()) script.close();
      },
    };
  };

/** Without a promise as long as none of them waits. */
function runAll(
  scripts: readonly Script[],
  context: LuaContext,
  from = 0,
): Answer | undefined | Promise<Answer | undefined> {
  for (let i = from; i < scripts.length; i++) {
    const answer = scripts[i]?.run(context);
    if (answer instanceof Promise) {
      return answer.then((given) => given ?? runAll(scripts, context, i + 1));
    }
    if (answer !== undefined) return answer;
  }
  return undefined;
}
