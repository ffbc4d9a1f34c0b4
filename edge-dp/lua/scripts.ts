import { LuaEnd, type LuaReference, type LuaValue, releaseFunctions } from '../../shared/lua/value.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Answer } from '../plugins/runtime/plugin.ts';
import type { LuaSettings } from '../settings.ts';
import type { LuaContext } from './context.ts';
import { type GatewayLua, gatewayLua, isFunction } from './gateway-lua.ts';
import { HeldFunction } from './held-function.ts';

/**
 * Lua of config in this isolate: one machine for all of it, made when the first script is compiled and made anew should it break
 * down.
 */
let gateway: GatewayLua | null = null;

/** The machine that runs Lua now. */
export function current(): GatewayLua {
  if (gateway === null || gateway.machine.lost !== null) gateway = gatewayLua();
  return gateway;
}

/**
 * A chunk of Lua from config, compiled when it is made. Throws `LuaSyntaxError`, and where `untrusted_lua` is off. One that finds no
 * room, because of all the others in the machine, is no reason to refuse a config: it is compiled when it is to run, which fails as long
 * as there is none.
 */
export class Script {
  readonly #source: string;
  readonly #settings: LuaSettings;
  #chunk: Chunk | null = null;
  #isClosed = false;

  constructor(source: string, settings: LuaSettings) {
    this.#source = source;
    this.#settings = settings;
    if (settings.untrusted === 'off') throw new Error(LUA_IS_OFF);
    try {
      this.#chunk = this.#compile(current());
    } catch (error) {
      if (!messageOf(error).startsWith(NO_ROOM)) throw error;
    }
  }

  #compile(lua: GatewayLua): Chunk {
    return new Chunk(this.#load(lua), { once: this.#isClosed });
  }

  #load({ machine, sandbox }: GatewayLua): LuaReference {
    const chunk = machine.load(this.#source);
    if (this.#settings.untrusted === 'on') return chunk;
    const { requires, environment } = this.#settings;
    const boxed = machine.run(sandbox, [chunk, requires, environment], null);
    machine.release(chunk);
    const [fn] = boxed instanceof Promise ? [] : boxed;
    if (!isFunction(fn, machine)) throw new Error('the sandbox gave no function');
    return fn;
  }

  /**
   * Runs it for a phase of a request: what it answers the request with, or undefined. A promise once it waits. Throws
   * `LuaFault` for an error in Lua.
   */
  run(context: LuaContext): Answer | undefined | Promise<Answer | undefined> {
    const chunk = this.#ready();
    return ended(context, () => chunk.run(context));
  }

  /** Runs it for what it returns. A promise once it waits. Throws `LuaFault`. */
  values(context: LuaContext): readonly LuaValue[] | Promise<readonly LuaValue[]> {
    return this.#ready().use((fn) => fn.machine.run(fn, NONE, context));
  }

  /** What the machine of now runs. */
  #ready(): Chunk {
    const now = current();
    if (this.#chunk !== null && this.#chunk.machine === now.machine) return this.#chunk;
    const chunk = this.#compile(now);
    if (!this.#isClosed) this.#chunk = chunk;
    return chunk;
  }

  /** Requests that began before may run it all the same: it is compiled for each. */
  close(): void {
    this.#isClosed = true;
    this.#chunk?.close();
    this.#chunk = null;
  }
}

/** What a source was compiled to. Those that give a function are run once; the function takes their place. */
class Chunk extends HeldFunction {
  #isSettled = false;

  run(context: LuaContext): readonly LuaValue[] | Promise<readonly LuaValue[]> {
    return this.use((fn) => {
      const isBody = !this.#isSettled;
      const outcome = fn.machine.run(fn, NONE, context);
      if (!isBody) return outcome;
      return outcome instanceof Promise
        ? outcome.then((values) => this.#settle(context, values))
        : this.#settle(context, outcome);
    });
  }

  /** Its body ran to prepare; from now on the function it gave is what runs. Of several that ran at once, the first's. */
  #settle(context: LuaContext, values: readonly LuaValue[]): readonly LuaValue[] | Promise<readonly LuaValue[]> {
    const { machine } = this;
    const [given, ...others] = values;
    const isFirst = !this.#isSettled;
    this.#isSettled = true;
    if (!isFunction(given, machine)) return values;
    releaseFunctions(others);
    if (!isFirst) return new HeldFunction(given, { once: true }).use((fn) => machine.run(fn, NONE, context));
    this.replace(given);
    return machine.run(given, NONE, context);
  }
}

const NONE: readonly LuaValue[] = [];

/** How Lua, and the machine around it, say that their memory is used up. */
const NO_ROOM = 'not enough memory';

/** Kong's words. */
export const LUA_IS_OFF =
  "loading of untrusted Lua code disabled because 'untrusted_lua' config option is set to 'off'";

/** The answer that a run left in its context, if it ended the request. What it gives is of no use to anybody. */
export function ended(
  context: LuaContext,
  run: () => readonly LuaValue[] | Promise<readonly LuaValue[]>,
): Answer | undefined | Promise<Answer | undefined> {
  const answered = (error: unknown): Answer | undefined => {
    if (error instanceof LuaEnd) return context.answer ?? undefined;
    throw error;
  };
  const dropped = (values: readonly LuaValue[]): undefined => {
    releaseFunctions(values);
  };
  try {
    const outcome = run();
    if (outcome instanceof Promise) return outcome.then(dropped, answered);
    return dropped(outcome);
  } catch (error) {
    return answered(error);
  }
}
