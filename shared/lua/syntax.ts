import { LuaMachine } from './machine.ts';
import { providedLua } from './provided.ts';
import { LuaSyntaxError } from './value.ts';

let machine: LuaMachine | null = null;

/**
 * What keeps a text from being a Lua chunk, in Lua's own words, or nothing. Compiled by the machine that runs it on data planes;
 * nothing is run.
 */
export function luaSyntaxError(source: string): string | undefined {
  if (machine === null || machine.lost !== null) machine = new LuaMachine(providedLua());
  try {
    machine.release(machine.load(source));
    return undefined;
  } catch (error) {
    if (error instanceof LuaSyntaxError) return error.message;
    throw error;
  }
}
