import { LuaNative, type LuaValue } from '../../../shared/lua/value.ts';
import { contextOf } from '../context.ts';
import { fromJson } from '../json.ts';

/** What plugins of the gateway put into `kong.ctx.shared` (`request.shared`): what JSON could hold, and nothing else. */
export const sharedByPlugins = new LuaNative('shared', (call): LuaValue => {
  const { shared } = contextOf(call).subject;
  return shared.size === 0 || call.type(1) !== 'string' ? undefined : fromJson(shared.get(call.text(1)), 0, null);
});

export const unsetShared = new LuaNative('unset_shared', (call) => {
  const { shared } = contextOf(call).subject;
  if (shared.size > 0 && call.type(1) === 'string') shared.delete(call.text(1));
  return undefined;
});
