import { formatHost, parseHost } from '../schema/formats/host.ts';
import { autoTimestampMs, tags, uuid } from '../schema/kinds.ts';
import { defineEntity, type Entity } from '../schema/vocabulary.ts';

const DEFAULT_PORT = 8000;

/** An address and port behind an upstream. */
export const targets = defineEntity({
  name: 'targets',
  primary_key: ['id'],
  endpoint_key: 'target',
  cache_key: ['upstream', 'target'],
  workspaceable: true,
  bundle: { mode: 'eager' },
  fields: {
    id: uuid,
    created_at: autoTimestampMs,
    updated_at: autoTimestampMs,
    upstream: { type: 'foreign', reference: 'upstreams', required: true, on_delete: 'cascade' },
    target: { type: 'string', required: true, custom_validator: targetError },
    weight: { type: 'integer', default: 100, between: [0, 65535] },
    tags,
  },
  transformations: [
    { input: ['target'], on_write: async ({ target }) => ({ target: normalizeTarget(String(target)) }) },
  ],
});

export type Target = Entity<typeof targets>;

function targetError(target: string): string | undefined {
  return 'error' in parseHost(target) ? `Invalid target ('${target}'); not a valid hostname or ip address` : undefined;
}

/** The form targets are stored and compared in: IPv6 expanded, IPv4 without leading zeros, always with a port. */
export function normalizeTarget(target: string): string {
  const host = parseHost(target);
  return 'error' in host ? target : formatHost(host, DEFAULT_PORT);
}
