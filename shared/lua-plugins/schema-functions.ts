import { findMatch } from '../lua/pattern.ts';
import type { LuaReference, LuaValue } from '../lua/value.ts';
import { isRecord } from '../record.ts';
import { schemaViolation } from '../schema/errors.ts';
import type { FieldErrors, PatternRule } from '../schema/vocabulary.ts';
import { messageOf } from '../thrown.ts';
import { luaOf, plain } from './lua-value.ts';
import type { PluginLua } from './plugin-lua.ts';

/** The functions of a schema in Lua, as those of the vocabulary. What fails in them is a failed validation, in Lua's words. */
export class SchemaFunctions {
  readonly #lua: PluginLua;

  constructor(lua: PluginLua) {
    this.#lua = lua;
  }

  /** `custom_validator`: true, or nil and a message. */
  validator(fn: LuaReference): (value: unknown) => string | undefined {
    return (value) => {
      const [ok, message] = this.#call(fn, value);
      if (ok !== undefined && ok !== false) return undefined;
      return typeof message === 'string' ? message : 'the custom validator refuses it';
    };
  }

  /** `custom_entity_check`: true, or nil and a message, or a table of messages by field. */
  entityCheck(fn: LuaReference): (row: Readonly<Record<string, unknown>>) => string | FieldErrors | undefined {
    return (row) => {
      const [ok, message, more] = this.#call(fn, row);
      if (ok !== undefined && ok !== false) return undefined;
      const errors = more ?? message;
      if (errors instanceof Map) return fieldErrors(plain(errors, 'an entity check'));
      return typeof message === 'string' ? message : 'an entity check refuses it';
    };
  }

  /** `func` of a shorthand field: the fields it stands for. Throws a schema violation. */
  shorthand(name: string, fn: LuaReference): (value: unknown) => Readonly<Record<string, unknown>> {
    return (value) => {
      const [expanded, message] = this.#call(fn, value);
      if (expanded === undefined && typeof message === 'string') throw schemaViolation({ [name]: message });
      const fields = plain(expanded, `what ${name} stands for`);
      return isRecord(fields) ? fields : {};
    };
  }

  #call(fn: LuaReference, value: unknown): readonly LuaValue[] {
    if (this.#lua.machine.lost !== null) return [undefined, 'the Lua of the schema broke down: send the plugin again'];
    try {
      return this.#lua.call(fn, [luaOf(value)]);
    } catch (error) {
      return [undefined, messageOf(error)];
    }
  }
}

/** A Lua pattern as a rule. */
export function patternRule(pattern: string, err: string | undefined): PatternRule {
  const bytes = encoder.encode(pattern);
  const test = (subject: string): boolean => {
    let steps = 0;
    try {
      return (
        findMatch(encoder.encode(subject), bytes, 0, true, (taken) => {
          steps += taken;
          if (steps > MOST_STEPS) throw new Error('too many steps');
        }) !== null
      );
    } catch {
      return false;
    }
  };
  // Told where it is sent, not with the first value.
  findMatch(new Uint8Array(), bytes, 0, true, () => {});
  return { pattern, regex: { test }, ...(err !== undefined && { err }) };
}

const MOST_STEPS = 1_000_000;
const encoder = new TextEncoder();

function fieldErrors(value: unknown): FieldErrors {
  if (!isRecord(value)) return { '@entity': ['an entity check refuses it'] };
  return Object.fromEntries(
    Object.entries(value).map(([field, error]) => [field, isRecord(error) ? fieldErrors(error) : String(error)]),
  );
}
