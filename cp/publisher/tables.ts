import { indexTable } from '../../shared/bundle/lookup.ts';
import { entities } from '../../shared/entities/registry.ts';
import type { EntitySchema } from '../../shared/schema/vocabulary.ts';
import { hashedFields, type PublishedTable } from './travel.ts';

/**
 * The tables of a bundle: every entity whose schema says how it travels, with the further ways to find its rows. What data
 * planes make too does not travel in it.
 */
export function publishedTables(): PublishedTable[] {
  return entities.filter(({ records }) => records === undefined).flatMap(tablesOf);
}

/** The same for a data plane's own declarative config, which is all it ever hears of. */
export function declaredTables(): PublishedTable[] {
  return entities.flatMap(tablesOf);
}

/** The tables one entity becomes. */
export function tablesOf({
  name,
  bundle,
  ttl = false,
}: Pick<EntitySchema, 'name' | 'bundle' | 'ttl'>): PublishedTable[] {
  if (bundle === undefined) return [];
  const also = bundle.mode === 'lazy' ? (bundle.also ?? []) : [];
  const hashed = hashedFields(bundle);
  return [
    { name, bundle, ttl },
    ...also.map((field): PublishedTable => {
      const rule = { mode: 'lazy', lookup: field, hashed: hashed.filter((one) => one === field) } as const;
      return { name: indexTable(name, field), bundle: rule, ttl, indexes: name };
    }),
  ];
}
