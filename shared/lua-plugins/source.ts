/** A plugin in Lua as it is sent to the control plane and on to data planes: Kong's `schema.lua` and `handler.lua`, as texts. */
export interface LuaPluginSource {
  /** The plugin's name; `name@label` for a version of it beside others. */
  readonly name: string;
  readonly schema: string;
  readonly handler: string;
  /** More of its Lua, by the name it is required by (`kong.plugins.my-plugin.access`). */
  readonly modules: Readonly<Record<string, string>> | null;
}

/** Something of it that cannot be taken; `field` is where it stands. */
export class LuaPluginRefused extends Error {
  override readonly name = 'LuaPluginRefused';
  readonly field: 'name' | 'schema' | 'handler' | 'modules';

  constructor(field: LuaPluginRefused['field'], message: string) {
    super(message);
    this.field = field;
  }
}

/** The plugin that a name stands for, without the version's label: what its configurations take each other's place by. */
export function familyOf(name: string): string {
  const at = name.indexOf('@');
  return at < 0 ? name : name.slice(0, at);
}

/** What its parts are required by, as in Kong's tree. */
export const moduleName = (name: string, part: 'schema' | 'handler'): string =>
  `kong.plugins.${familyOf(name)}.${part}`;

/** What runs on data planes, by module name; the schema's place is the control plane. */
export function runningModules({ name, handler, modules }: Omit<LuaPluginSource, 'schema'>): Map<string, string> {
  return new Map([...Object.entries(modules ?? {}), [moduleName(name, 'handler'), handler]]);
}
