import type { LuaMachine } from '../../shared/lua/machine.ts';
import { LuaReference, type LuaValue } from '../../shared/lua/value.ts';
import { type Slots, slot } from '../plugins/runtime/slot.ts';
import { isList, isMap } from './arguments.ts';
import type { RequestTables } from './context.ts';

const tablesOf = slot<RequestTables>();

/** The Lua tables of a request, or a session, which all of its Lua shares (`kong.ctx.shared`, `ngx.ctx`). */
export function requestTables(request: { readonly slots: Slots }): RequestTables {
  let known = tablesOf.get(request);
  if (known === undefined) {
    known = new MachineTables();
    tablesOf.set(request, known);
  }
  return known;
}

/** In whatever machine runs it; let go of when nothing refers to the request any more. */
class MachineTables implements RequestTables {
  body: Uint8Array | null = null;
  buffered = false;
  answer: Uint8Array | null = null;
  said = '';
  uri: string | null = null;
  status: number | null = null;
  readonly #held: Held = new Map();
  /** Where each of the tables was used last. */
  readonly #seats = new Map<string, LuaMachine>();

  get(name: string, lua: LuaMachine): LuaReference {
    let own = this.#held.get(lua);
    if (own === undefined) {
      if (this.#held.size === 0) registry.register(this, this.#held);
      own = new Map();
      this.#held.set(lua, own);
    }
    const before = this.#seats.get(name);
    const known = own.get(name);
    if (known !== undefined && before === lua) return known;
    // What cannot be read stays where it is, and is no empty table the next time.
    const table = before === undefined || before === lua ? lua.table() : lua.keep(this.#contents(name, before));
    if (known !== undefined) lua.release(known);
    this.#seats.set(name, lua);
    own.set(name, table);
    return table;
  }

  /** What a plugin in another machine put there: plain values, for functions stay where they are. */
  #contents(name: string, lua: LuaMachine): LuaValue {
    const table = this.#held.get(lua)?.get(name);
    if (table === undefined || lua.lost !== null) return {};
    const value = lua.read(table);
    return isMap(value) || isList(value) ? withoutFunctions(value) : {};
  }
}

function withoutFunctions(value: LuaValue): LuaValue {
  if (value instanceof LuaReference) {
    value.machine.release(value);
    return undefined;
  }
  if (isList(value)) return value.map(withoutFunctions);
  if (isMap(value)) return new Map([...value].map(([key, item]) => [key, withoutFunctions(item)]));
  return value;
}

type Held = Map<LuaMachine, Map<string, LuaReference>>;

const registry = new FinalizationRegistry<Held>((held) => {
  for (const [lua, tables] of held) if (lua.lost === null) for (const table of tables.values()) lua.release(table);
});
