/** What a plugin of one's own writes its schema with: `import { … } from 'holdfast/schema'`. */
export { CAPABILITIES, type Capability } from '../cluster/capabilities.ts';
export { need, type Requirement } from '../cluster/need.ts';
export * from '../schema/kinds.ts';
export { regexError } from '../schema/rules.ts';
export {
  defineField,
  definePlugin,
  type Entity,
  type EntityCheck,
  type Field,
  type PluginSchema,
} from '../schema/vocabulary.ts';
export { KONG_VERSION } from '../version.ts';
