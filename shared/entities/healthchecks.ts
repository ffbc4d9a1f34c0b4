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
        concurrency: {
          type: 'integer',
          between: [1, 2147483648],
          default: 10,
          description: 'How many targets are asked at the same time.',
        },
        headers: {
          ...headers,
          values: { type: 'array', elements: headerValue },
          required: false,
          description: 'Headers of the requests it asks with.',
        },
        healthy: {
          type: 'record',
          required: true,
          default: activeHealthy,
          fields: {
            http_statuses: {
              ...statuses,
              default: activeHealthy.http_statuses,
              description: 'Statuses that mean it is well.',
            },
            interval: {
              ...seconds,
              description: 'Seconds between two questions to a target that is well. 0: it is not asked.',
            },
            successes: {
              ...count,
              description: 'So many good answers one after the other make it well. 0: answers never do.',
            },
          },
          description: 'When an ill target is taken to be well again.',
        },
        http_path: { ...path, default: '/', description: 'What is asked for.' },
        https_sni: {
          ...sni,
          required: false,
          description: 'Server name of the TLS handshake. Not set: the target’s own.',
        },
        https_verify_certificate: {
          type: 'boolean',
          default: true,
          required: true,
          description: 'Whether the target’s certificate is checked.',
        },
        timeout: { ...seconds, default: 1, description: 'Seconds until a question counts as not answered.' },
        type: { ...checkType, description: 'By what it is asked. tcp: whether it takes a connection.' },
        unhealthy: {
          type: 'record',
          required: true,
          default: activeUnhealthy,
          fields: {
            http_failures: {
              ...count,
              description: 'So many bad answers one after the other make it ill. 0: answers never do.',
            },
            http_statuses: {
              ...statuses,
              default: activeUnhealthy.http_statuses,
              description: 'Statuses that mean it is ill.',
            },
            interval: {
              ...seconds,
              description: 'Seconds between two questions to a target that is ill. 0: it is not asked.',
            },
            tcp_failures: {
              ...count,
              description: 'So many failed connections one after the other make it ill. 0: they never do.',
            },
            timeouts: {
              ...count,
              description: 'So many questions without an answer in time make it ill. 0: they never do.',
            },
          },
          description: 'When a target is taken to be ill.',
        },
      },
      description: 'The data plane asks targets by itself, whether requests come or not.',
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
          fields: {
            http_statuses: {
              ...statuses,
              default: passiveHealthy.http_statuses,
              description: 'Statuses that mean it is well.',
            },
            successes: {
              ...count,
              description: 'So many good answers one after the other make it well. 0: answers never do.',
            },
          },
          description: 'When an ill target is taken to be well again.',
        },
        type: { ...checkType, description: 'What is watched: answers by HTTP, or connections alone.' },
        unhealthy: {
          type: 'record',
          required: true,
          default: passiveUnhealthy,
          fields: {
            http_failures: {
              ...count,
              description: 'So many bad answers one after the other make it ill. 0: answers never do.',
            },
            http_statuses: {
              ...statuses,
              default: passiveUnhealthy.http_statuses,
              description: 'Statuses that mean it is ill.',
            },
            tcp_failures: {
              ...count,
              description: 'So many failed connections one after the other make it ill. 0: they never do.',
            },
            timeouts: {
              ...count,
              description: 'So many requests without an answer in time make it ill. 0: they never do.',
            },
          },
          description: 'When a target is taken to be ill.',
        },
      },
      description: 'What comes of clients’ requests is watched.',
    },
    // Percent of the weight that must be available for the upstream to count as healthy.
    threshold: {
      type: 'number',
      between: [0, 100],
      default: 0,
      description: 'When less than this part of the weight is well, in percent, the upstream as a whole counts as ill.',
    },
  },
});
