/** The shared memory zones of Kong's own nginx configuration: plugin configs name them, so their names are checked. */
const DICTIONARIES = new Set([
  'kong',
  'kong_locks',
  'kong_healthchecks',
  'kong_cluster_events',
  'kong_rate_limiting_counters',
  'kong_core_db_cache',
  'kong_core_db_cache_miss',
  'kong_db_cache',
  'kong_db_cache_miss',
  'kong_secrets',
  'prometheus_metrics',
]);

export function isSharedDictionary(name: string): boolean {
  return DICTIONARIES.has(name);
}
