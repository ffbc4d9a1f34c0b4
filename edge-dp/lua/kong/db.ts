import { type LuaCall, LuaNative, results } from '../../../shared/lua/value.ts';
import { isUuid } from '../../../shared/uuid.ts';
import { contextOf, type Library } from '../context.ts';
import { entity } from './client.ts';

/** What `kong.db` is made of: of the tables of a control plane those that data planes hold whole and plugins ask for. */
export const authorities: Library = {
  one: new LuaNative('select', (call: LuaCall) => {
    const id = call.value(1);
    if (typeof id !== 'string' || !isUuid(id))
      return results(undefined, 'schema violation (id: expected a valid UUID)');
    const found = contextOf(call).subject.authorities.get(id);
    return found === undefined ? undefined : entity(found.row);
  }),
  all: new LuaNative('each', (call: LuaCall) => {
    const found = [...contextOf(call).subject.authorities.values()];
    return found.sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ row }) => entity(row));
  }),
};
