import type { Hooks, Step } from '../runtime/plugin.ts';
import { slot } from '../runtime/slot.ts';

/** How long a plugin took in a phase, as `tracing_instrumentations` asks. Milliseconds since the epoch. */
export interface PluginTime {
  readonly phase: 'rewrite' | 'access' | 'header_filter';
  readonly plugin: string;
  readonly start: number;
  readonly end: number;
}

const times = slot<PluginTime[]>();

export function pluginTimes(request: Parameters<typeof times.get>[0]): readonly PluginTime[] {
  return times.get(request) ?? [];
}

/** The same hooks, with the times of the phases that are wanted kept with each request. */
export function timed(plugin: string, hooks: Hooks, instrumentations: ReadonlySet<string>): Hooks {
  const wants = (phase: PluginTime['phase']): boolean =>
    instrumentations.has('all') || instrumentations.has(`plugin_${phase}`);
  const { rewrite, access, response } = hooks;
  return {
    ...hooks,
    ...(rewrite !== undefined &&
      wants('rewrite') && {
        rewrite: (request) => measured(request, 'rewrite', plugin, () => rewrite.call(hooks, request)),
      }),
    ...(access !== undefined &&
      wants('access') && {
        access: (request) => measured(request, 'access', plugin, () => access.call(hooks, request)),
      }),
    ...(response !== undefined &&
      hooks.untracedResponse !== true &&
      wants('header_filter') && {
        response: (request, reply) =>
          measured(request, 'header_filter', plugin, () => response.call(hooks, request, reply)),
      }),
  };
}

function measured<T>(
  request: Parameters<typeof times.get>[0],
  phase: PluginTime['phase'],
  plugin: string,
  run: () => Step<T>,
): Step<T> {
  const start = Date.now();
  const done = (): void => {
    const kept = times.get(request) ?? [];
    if (kept.length === 0) times.set(request, kept);
    kept.push({ phase, plugin, start, end: Date.now() });
  };
  let step: Step<T>;
  try {
    step = run();
  } catch (error) {
    done();
    throw error;
  }
  if (step instanceof Promise) return step.finally(done);
  done();
  return step;
}
