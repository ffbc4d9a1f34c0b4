import { headers, headerValue, path, sni } from '../schema/kinds.ts';
import { defineField } from '../schema/vocabulary.ts';

/** Seconds. */
const seconds = defineField({ type: 'number', between: [0, 65535], default: 0 });

/** How many in a row change a target's state; 0 switches the check off. */
const count = defineField({ type: 'integer', between: [0, 255], default: 0 });

const statuses = defineField({ type: 'array', elements: { type: 'integer', between: [100, 999] } });

const checkType = defineField({ type: 'string', one_of: ['tcp', 'http', 'https', 'grpc', 'grpcs'], default: 'http' });

const activeHealthy = { interval: 0, http_statuses: [200, 302], successes: 0 } as const;

const activeUnhealthy = {
  interval: 0,
  http_statuses: [429, 404, 500, 501, 502, 503, 504, 505],
  tcp_failures: 0,
  timeouts: 0,
  http_failures: 0,
} as const;

const active = {
  type: 'http',
  timeout: 1,
  concurrency: 10,
  http_path: '/',
  https_verify_certificate: true,
  healthy: activeHealthy,
  unhealthy: activeUnhealthy,
} as const;

const passiveHealthy = {
  http_statuses: [200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308],
  successes: 0,
} as const;

const passiveUnhealthy = { http_statuses: [429, 500, 503], tcp_failures: 0, timeouts: 0, http_failures: 0 } as const;

const passive = { type: 'http', healthy: passiveHealthy, unhealthy: passiveUnhealthy } as const;

/** `upstreams.healthchecks`: probes sent (active) and answers watched (passive). */
export const healthchecks = defineField({
  type: 'record',
  required: true,
  default: { active, passive },
  fields: {
    active: {
      type: 'record',
      required: true,
      default: active,
      fields: {
        concurrency: { type: 'integer', between: [1, 2147483648], default: 10 },
        headers: { ...headers, values: { type: 'array', elements: headerValue }, required: false },
        healthy: {
          type: 'record',
          required: true,
          default: activeHealthy,
          fields: {
            http_statuses: { ...statuses, default: activeHealthy.http_statuses },
            interval: seconds,
            successes: count,
          },
        },
        http_path: { ...path, default: '/' },
        https_sni: { ...sni, required: false },
        https_verify_certificate: { type: 'boolean', default: true, required: true },
        timeout: { ...seconds, default: 1 },
        type: checkType,
        unhealthy: {
          type: 'record',
          required: true,
          default: activeUnhealthy,
          fields: {
            http_failures: count,
            http_statuses: { ...statuses, default: activeUnhealthy.http_statuses },
            interval: seconds,
            tcp_failures: count,
            timeouts: count,
          },
        },
      },
    },
    passive: {
      type: 'record',
      required: true,
      default: passive,
      fields: {
        healthy: {
          type: 'record',
          required: true,
          default: passiveHealthy,
          fields: { http_statuses: { ...statuses, default: passiveHealthy.http_statuses }, successes: count },
        },
        type: checkType,
        unhealthy: {
          type: 'record',
          required: true,
          default: passiveUnhealthy,
          fields: {
            http_failures: count,
            http_statuses: { ...statuses, default: passiveUnhealthy.http_statuses },
            tcp_failures: count,
            timeouts: count,
          },
        },
      },
    },
    // Percent of the weight that must be available for the upstream to count as healthy.
    threshold: { type: 'number', between: [0, 100], default: 0 },
  },
});
