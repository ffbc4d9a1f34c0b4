import type { LuaMachine } from '../../shared/lua/machine.ts';
import type { LuaReference } from '../../shared/lua/value.ts';

/**
 * A function of config that Lua holds, until nobody will run it any more and nobody is running it. Let go of while it runs, or twice, its
 * place in Lua would be that of another function, which would be run instead.
 */
export class HeldFunction {
  #fn: LuaReference;
  #runs = 0;
  #isGone: boolean;

  /** `once`: it is gone with its first run. */
  constructor(fn: LuaReference, { once }: { readonly once: boolean }) {
    this.#fn = fn;
    this.#isGone = once;
  }

  get machine(): LuaMachine {
    return this.#fn.machine;
  }

  /** Does something with it, and keeps it until that has ended. */
  use<T>(work: (fn: LuaReference) => T | Promise<T>): T | Promise<T> {
    this.#runs += 1;
    let outcome: T | Promise<T>;
    try {
      outcome = work(this.#fn);
    } catch (error) {
      this.#ended();
      throw error;
    }
    if (outcome instanceof Promise) return outcome.finally(() => this.#ended());
    this.#ended();
    return outcome;
  }

  /** Another takes its place. */
  replace(fn: LuaReference): void {
    this.#release();
    this.#fn = fn;
  }

  /** Nobody will use it any more. */
  close(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    if (this.#runs === 0) this.#release();
  }

  #ended(): void {
    this.#runs -= 1;
    if (this.#isGone && this.#runs === 0) this.#release();
  }

  #release(): void {
    const { machine } = this.#fn;
    if (machine.lost === null) machine.release(this.#fn);
  }
}
