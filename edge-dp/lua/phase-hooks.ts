import type { Logged } from '../plugins/log-entry.ts';
import { andThen } from '../plugins/runtime/and-then.ts';
import type { Answer, Hooks, Step } from '../plugins/runtime/plugin.ts';
import type { Reply } from '../plugins/runtime/reply.ts';
import type { GatewayRequest } from '../plugins/runtime/request.ts';
import { AFTER_HEAD, type BodyChunk, LuaContext, type LuaPhase, type LuaSite, type LuaSubject } from './context.ts';
import { requestTables } from './request-tables.ts';
import { endConnections, endOpening, hasConnections } from './resty-redis.ts';

/** Runs what a plugin has for the phase of the context. Without a promise as long as nothing waits. */
export type RunPhase = (context: LuaContext) => Answer | undefined | Promise<Answer | undefined>;

/** The hooks of a plugin that does its work in Lua: one for each of its phases. */
export function phaseHooks(site: LuaSite, phases: ReadonlySet<LuaPhase>, run: RunPhase): Hooks {
  const context = (phase: LuaPhase, subject: LuaSubject, more?: ConstructorParameters<typeof LuaContext>[4]) =>
    new LuaContext(phase, site, subject, requestTables(subject), more);
  const hooks: Hooks = {
    ...(AFTER_HEAD.some((phase) => phases.has(phase)) && { asksForReceived: true }),
    ...(!phases.has('header_filter') && !phases.has('response') && { untracedResponse: true }),
  };
  if (phases.has('certificate')) {
    hooks.certificate = (handshake) => {
      const own = context('certificate', handshake);
      const ran = whatever(
        () => run(own),
        () => endConnections(handshake, site),
      );
      return andThen(ran, () => (own.refusal === null ? undefined : 'refused'));
    };
  }
  if (phases.has('rewrite')) hooks.rewrite = (request) => run(context('rewrite', request));
  if (phases.has('access')) hooks.access = (request) => run(context('access', request));
  if (phases.has('response')) {
    hooks.response = async (request, reply) => {
      // It is a phase of what the upstream said, or failed to say.
      if (reply.source === 'exit') return undefined;
      // Kong buffers the answer for this phase.
      requestTables(request).buffered = true;
      await buffer(request, reply);
      return run(context('response', request, { reply }));
    };
  } else if (OF_REQUESTS.some((phase) => phases.has(phase))) {
    const filter = (request: GatewayRequest, reply: Reply): Step<Answer> => {
      const filtered = phases.has('header_filter') ? run(context('header_filter', request, { reply })) : undefined;
      // No answer gets past it by a coding that its client chooses.
      if (phases.has('body_filter'))
        reply.body.through(bodyFilter(run, context('body_filter', request, { reply })), true);
      return filtered;
    };
    hooks.response = (request, reply) =>
      requestTables(request).buffered
        ? buffer(request, reply).then(() => filter(request, reply))
        : filter(request, reply);
  }
  const logs = phases.has('log');
  // The last phase there is: what was opened ends with it.
  const log = (exchange: Logged): void => {
    const { request } = exchange;
    // Phases before may still be at work for a client that has left.
    if (!('clientLeft' in exchange) || exchange.clientLeft) endOpening(request, site);
    const done = whatever(
      () => (logs ? run(context('log', request, { exchange })) : undefined),
      () => endConnections(request, site),
    );
    if (done instanceof Promise) request.waitUntil(done);
  };
  if (logs || phases.has('response') || OF_REQUESTS.some((phase) => phases.has(phase))) {
    hooks.log = log;
    hooks.logs = (request) => logs || phases.has('body_filter') || hasConnections(request, site);
  }
  if (logs || phases.has('preread')) hooks.logStream = log;
  if (phases.has('preread')) {
    hooks.preread = (session) => {
      const own = context('preread', session);
      return andThen(run(own), () => own.refusal ?? undefined);
    };
  }
  return hooks;
}

/** Does something, and the other thing then, whatever came of the first. */
function whatever<T>(first: () => T | Promise<T>, then: () => void): T | Promise<T> {
  let outcome: T | Promise<T>;
  try {
    outcome = first();
  } catch (error) {
    then();
    throw error;
  }
  if (outcome instanceof Promise) return outcome.finally(then);
  then();
  return outcome;
}

/** Those in which Lua may ask for the whole answer, or say that it will be asked for. */
const OF_REQUESTS: readonly LuaPhase[] = ['rewrite', 'access', 'header_filter', 'body_filter', 'log'];

/** Waits for the whole answer, and keeps what the service sent for the phases that ask for it. */
async function buffer(request: GatewayRequest, reply: Reply): Promise<void> {
  const bytes = await reply.body.read(BUFFERED, true);
  const tables = requestTables(request);
  if (reply.source === 'service') tables.answer ??= bytes;
}

/** Bytes of an answer that is waited for; what is longer passes on as it streams. */
const BUFFERED = 10 * 1024 * 1024;

/** `body_filter`: sees each chunk in `ngx.arg`, and at the end an empty last one. */
function bodyFilter(run: RunPhase, context: LuaContext): TransformStream<Uint8Array, Uint8Array> {
  let whole: Uint8Array[] | null = null;
  let ended = false;
  const filter = async (
    bytes: Uint8Array,
    last: boolean,
    controller: TransformStreamDefaultController<Uint8Array>,
  ): Promise<void> => {
    if (ended) return;
    const chunk: BodyChunk = { bytes, last, whole, ended };
    context.chunk = chunk;
    await run(context);
    ({ whole, ended } = chunk);
    if (chunk.bytes !== null && chunk.bytes.length > 0) controller.enqueue(chunk.bytes);
  };
  return new TransformStream({
    transform: (bytes, controller) => filter(bytes, false, controller),
    flush: (controller) => filter(new Uint8Array(), true, controller),
  });
}
