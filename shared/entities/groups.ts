import { DEFAULT_GROUP } from '../bundle/format.ts';
import { parseNodeSelector, SelectorFault } from '../cluster/node-selector.ts';
import { autoTimestamp, name, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';
import { parseTagFilter } from '../tag-filter.ts';

/**
 * Data planes that get a config of their own: those whose labels fit, of the first group that they fit; the rest are of
 * `default`. It says what the config is made of, and is itself in none.
 */
export const groups = defineEntity({
  name: 'groups',
  primary_key: ['id'],
  endpoint_key: 'name',
  kept_unless_named: true,
  fields: {
    id: uuid,
    created_at: autoTimestamp,
    updated_at: autoTimestamp,
    name: { ...name, required: true, len_max: 63, description: 'By which the group is known here and in releases.' },
    // `region in (eu, us), tier = edge`; without it, no data plane is of the group but by its name `default`.
    labels: {
      type: 'string',
      len_max: 1024,
      custom_validator: selectorError,
      description: 'Which data planes are in it, as region = eu, tier in (edge, core).',
    },
    // Only labels that a data plane's certificate has count.
    certified: {
      type: 'boolean',
      required: true,
      default: false,
      description: 'Only labels count that the data plane’s certificate has.',
    },
    // `a,b` or `a/b`: the entities its data planes get; all of them unless set.
    select_tags: {
      type: 'string',
      len_max: 1024,
      custom_validator: filterError,
      description: 'Which entities they get: a,b with all of these tags; a/b with any. Not set: all.',
    },
    // Of several groups that fit, the one with the highest; then by name.
    priority: {
      type: 'integer',
      required: true,
      default: 0,
      between: [-1_000_000, 1_000_000],
      description: 'Of several groups that fit a data plane, the highest wins.',
    },
    // `release`: what is written is pending until it is released.
    publish: {
      type: 'string',
      required: true,
      default: 'immediate',
      one_of: ['immediate', 'release'],
      description: 'immediate: what is written is live at once. release: it waits to be released.',
    },
    tags,
  },
  entity_checks: [
    {
      custom_entity_check: {
        field_sources: ['name', 'labels'],
        fn: ({ name: group, labels }) =>
          group === DEFAULT_GROUP && typeof labels === 'string'
            ? { labels: `'${DEFAULT_GROUP}' has the data planes that fit no other group, so it has no labels` }
            : undefined,
      },
    },
  ],
});

function selectorError(text: string): string | undefined {
  try {
    parseNodeSelector(text);
    return undefined;
  } catch (error) {
    if (error instanceof SelectorFault) return error.message;
    throw error;
  }
}

function filterError(text: string): string | undefined {
  return parseTagFilter(text) === null
    ? "expected tags joined by ',' (all of them) or by '/' (any of them), not both"
    : undefined;
}
