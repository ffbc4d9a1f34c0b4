import type { LuaMachine } from '../../shared/lua/machine.ts';
import type { LuaReference, LuaValue } from '../../shared/lua/value.ts';
import type { GatewayRequest } from '../plugins/runtime/request.ts';
import { slot } from '../plugins/runtime/slot.ts';
import type { RequestTables } from './context.ts';
import { current } from './scripts.ts';

const tablesOf = slot<RequestTables>();

/** The Lua tables of a request, which all of its Lua shares (`kong.ctx.shared`, `ngx.ctx`). */
export function requestTables(request: GatewayRequest): RequestTables {
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
  said = '';
  readonly logValues = new Map<string, LuaValue>();
  status: number | null = null;
  #held: Held | null = null;

  get(name: string): LuaReference {
    const { machine: lua } = current();
    if (this.#held === null || this.#held.machine !== lua) {
      this.#held = { machine: lua, tables: new Map() };
      registry.register(this, this.#held);
    }
    let table = this.#held.tables.get(name);
    if (table === undefined) {
      table = lua.table();
      this.#held.tables.set(name, table);
    }
    return table;
  }
}

interface Held {
  readonly machine: LuaMachine;
  readonly tables: Map<string, LuaReference>;
}

const registry = new FinalizationRegistry<Held>(({ machine, tables }) => {
  if (machine.lost === null) for (const table of tables.values()) machine.release(table);
});
