import { formatHost, parseHost } from '../schema/formats/host.ts';
import { autoTimestampMs, tags, uuid } from '../schema/kinds.ts';
import { defineEntity } from '../schema/vocabulary.ts';

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
    upstream: {
      type: 'foreign',
      reference: 'upstreams',
      required: true,
      on_delete: 'cascade',
      description: 'What it is a target of.',
    },
    target: {
      type: 'string',
      required: true,
      custom_validator: targetError,
      description: 'Host or address with port, as 10.0.0.7:8080.',
    },
    weight: {
      type: 'integer',
      default: 100,
      between: [0, 65535],
      description: 'How much of the traffic it gets, next to the others. 0: none.',
    },
    tags,
  },
  transformations: [
    { input: ['target'], derives: true, on_write: async ({ target }) => ({ target: normalizeTarget(String(target)) }) },
  ],
});

function targetError(target: string): string | undefined {
  return isTarget(target) ? undefined : `Invalid target ('${target}'); not a valid hostname or ip address`;
}

/** Whether a text is the address of a target: a host name or IP address, with or without a port. */
export function isTarget(text: string): boolean {
  return !('error' in parseHost(text));
}

/** The form targets are stored and compared in: IPv6 expanded, IPv4 without leading zeros, always with a port. */
function normalizeTarget(target: string): string {
  const host = parseHost(target);
  return 'error' in host ? target : formatHost(host, DEFAULT_PORT);
}
