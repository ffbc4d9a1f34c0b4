import { compileTemplate, type Template, type TemplateInputs } from '../../lua/template.ts';
import type { LuaSettings } from '../../settings.ts';
import { splitPair } from './pairs.ts';
import type { ParameterRules } from './parameters.ts';

/** A transformer's lists for one place (headers, query, body), as configured. */
export interface RuleLists {
  readonly remove: readonly string[];
  readonly rename: readonly string[];
  readonly replace: readonly string[];
  readonly add: readonly string[];
  readonly append: readonly string[];
}

/** Those lists with their templates compiled. */
export interface Rules {
  /** Nothing is to be filled in: they are the same for all requests. */
  readonly constant: ParameterRules | null;
  /** Renders every template, in order, whether its rule will apply or not. Throws `LuaFault`. */
  render(inputs: TemplateInputs): ParameterRules | Promise<ParameterRules>;
  close(): void;
}

/** Null: there are no rules. */
export function compileRules(lists: RuleLists, lua: LuaSettings): Rules | null {
  const remove = lists.remove.map((item) => splitPair(item).name);
  const slots: Slot[] = [];
  const compile = (list: readonly string[]): readonly Slot[] =>
    list.flatMap((item) => {
      const { name, value } = splitPair(item);
      // Kong does nothing with a name alone.
      if (value === null) return [];
      const slot = { name, template: compileTemplate(value, lua), place: slots.length };
      slots.push(slot);
      return slot;
    });
  const lists4 = [lists.rename, lists.replace, lists.add, lists.append].map(compile);
  if (remove.length === 0 && slots.length === 0) return null;

  const filled = (values: readonly string[]): ParameterRules => {
    const [rename = [], replace = [], add = [], append = []] = lists4.map((list) =>
      list.map(({ name, place }) => [name, values[place] ?? ''] as const),
    );
    return { remove, rename, replace, add, append };
  };
  const constants = slots.flatMap(({ template }) => template.constant ?? []);
  const constant = constants.length === slots.length ? filled(constants) : null;
  return {
    constant,
    render: (inputs) => {
      if (constant !== null) return constant;
      const values = slots.map(({ template }) => template.constant ?? template.render(inputs));
      return areTexts(values) ? filled(values) : Promise.all(values).then(filled);
    },
    close() {
      for (const { template } of slots) template.close();
    },
  };
}

interface Slot {
  readonly name: string;
  readonly template: Template;
  /** Among all templates of the rules. */
  readonly place: number;
}

function areTexts(values: readonly (string | Promise<string>)[]): values is readonly string[] {
  return values.every((value) => typeof value === 'string');
}
