import { entities } from '../../shared/entities/registry.ts';
import type { PublishedTable } from './travel.ts';

/** The tables of a bundle: every entity whose schema says how it travels. */
export function publishedTables(): PublishedTable[] {
  return entities.flatMap(({ name, bundle, ttl = false }) => (bundle === undefined ? [] : [{ name, bundle, ttl }]));
}
