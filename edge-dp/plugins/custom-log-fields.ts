import type { LuaValue } from '../../shared/lua/value.ts';
import { messageOf } from '../../shared/thrown.ts';
import { LuaContext, type LuaSite } from '../lua/context.ts';
import { jsonOf } from '../lua/kong/log.ts';
import { requestTables } from '../lua/request-tables.ts';
import { Script } from '../lua/scripts.ts';
import { changeLogEntry, type Logged } from './log-entry.ts';
import { tellProblem } from './problem-line.ts';

/** `custom_fields_by_lua` of the plugins that log: what Lua computes into the log entry, for this plugin and those after it. */
export interface CustomLogFields {
  /** Goes on once the entry has them: at once, unless Lua waits. */
  fill(exchange: Logged, next: () => void): void;
  close(): void;
}

/** Throws where Lua is off and there are fields. */
export function compileCustomFields(sources: Readonly<Record<string, string>> | null, site: LuaSite): CustomLogFields {
  const fields = Object.entries(sources ?? {}).map(
    ([path, source]) => ({ path, script: new Script(source, site.services.lua) }) as const,
  );
  if (fields.length === 0) return NONE;

  const put = ({ request }: Logged, path: string, [value]: readonly LuaValue[]): void =>
    changeLogEntry(request, { path, value: jsonOf(value), mode: 'set' });
  const failed = (exchange: Logged, path: string, error: unknown): void => {
    const problem = `custom_fields_by_lua.${path}: ${messageOf(error)}`;
    if ('session' in exchange)
      site.services.log(
        'error',
        `session ${exchange.session.id}: plugin ${site.plugin} (${site.place.id}): ${problem}`,
      );
    else tellProblem(site.services, site, exchange.request, problem);
  };
  /** A field that fails is left out. */
  const fillOne = (exchange: Logged, context: LuaContext, path: string, script: Script): Promise<void> | null => {
    try {
      const values = script.values(context);
      if (!(values instanceof Promise)) {
        put(exchange, path, values);
        return null;
      }
      return values.then((late) => put(exchange, path, late)).catch((error) => failed(exchange, path, error));
    } catch (error) {
      failed(exchange, path, error);
      return null;
    }
  };

  return {
    fill(exchange, next) {
      const context = new LuaContext('log', site, exchange.request, requestTables(exchange.request), { exchange });
      const waiting = fields.flatMap(({ path, script }) => fillOne(exchange, context, path, script) ?? []);
      if (waiting.length === 0) return next();
      exchange.request.waitUntil(Promise.all(waiting).then(next));
    },
    close() {
      for (const { script } of fields) script.close();
    },
  };
}

const NONE: CustomLogFields = { fill: (_, next) => next(), close: () => undefined };
