import { LuaContext, type LuaPhase, type LuaSite } from '../lua/context.ts';
import { requestTables } from '../lua/request-tables.ts';
import { Script } from '../lua/scripts.ts';
import type { Answer, Hooks, Plugin } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';

/** What pre-function and post-function are configured with: Lua sources by phase. */
export type PhaseFunctionsConfig = Readonly<Record<LuaPhase | 'certificate', readonly string[]>>;

/** Runs the functions of each phase, one after the other; one that answers the request, or fails, is the last. */
export const compileFunctions =
  (plugin: string): Plugin<PhaseFunctionsConfig>['compile'] =>
  (config, place, services) => {
    const site: LuaSite = { plugin, place, services };
    const scripts = (phase: LuaPhase) => config[phase].map((source) => new Script(source, services.lua));
    const [rewrite, access, header, body, log] = [
      scripts('rewrite'),
      scripts('access'),
      scripts('header_filter'),
      scripts('body_filter'),
      scripts('log'),
    ];
    const context = (phase: LuaPhase, request: GatewayRequest, more?: ConstructorParameters<typeof LuaContext>[4]) =>
      new LuaContext(phase, site, request, requestTables(request), more);

    const hooks: Hooks = {
      close() {
        for (const script of [rewrite, access, header, body, log].flat()) script.close();
      },
    };
    if (rewrite.length > 0) hooks.rewrite = (request) => runAll(rewrite, context('rewrite', request));
    if (access.length > 0) hooks.access = (request) => runAll(access, context('access', request));
    if (header.length > 0 || body.length > 0) {
      hooks.response = (request, reply) => {
        const filtered = runAll(header, context('header_filter', request, { reply }));
        if (body.length > 0) reply.body.through(bodyFilter(body, context('body_filter', request, { reply })));
        return filtered;
      };
    }
    if (log.length > 0) {
      hooks.log = (exchange) => {
        const done = runAll(log, context('log', exchange.request, { exchange }));
        if (done instanceof Promise) exchange.request.waitUntil(done);
      };
    }
    return hooks;
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

/** `body_filter`: the functions see each chunk in `ngx.arg`, and at the end an empty last one. */
function bodyFilter(scripts: readonly Script[], context: LuaContext): TransformStream<Uint8Array, Uint8Array> {
  let whole: Uint8Array[] | null = null;
  const filter = async (
    bytes: Uint8Array,
    last: boolean,
    controller: TransformStreamDefaultController<Uint8Array>,
  ): Promise<void> => {
    const chunk = { bytes, last, whole };
    context.chunk = chunk;
    await runAll(scripts, context);
    whole = chunk.whole;
    if (chunk.bytes !== null && chunk.bytes.length > 0) controller.enqueue(chunk.bytes);
  };
  return new TransformStream({
    transform: (bytes, controller) => filter(bytes, false, controller),
    flush: (controller) => filter(new Uint8Array(), true, controller),
  });
}
