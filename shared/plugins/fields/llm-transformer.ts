import { need } from '../../cluster/need.ts';
import type { Row } from '../../record.ts';
import { host, port } from '../../schema/kinds.ts';
import { regexError } from '../../schema/rules.ts';
import { defineField, type EntityCheck } from '../../schema/vocabulary.ts';
import { auth, logging, maxRequestBodySize, model, modelChecks, routeType } from './llm.ts';

/** The LLM that a transformer plugin asks, and the way to it. */
export const llm = defineField({
  type: 'record',
  description: 'The model that is asked, and what it is shown.',
  required: true,
  fields: {
    route_type: { ...routeType, description: 'Which interface of the model is used. Must be llm/v1/chat here.' },
    auth,
    model,
    logging,
  },
  entity_checks: modelChecks,
});

/** What the LLM is told, and what is taken from its answer. */
export const prompt = {
  prompt: { type: 'string', required: true, description: 'What the model is told to do with what it is shown.' },
  transformation_extract_pattern: {
    type: 'string',
    required: false,
    // As data planes compile it, so that none of them refuses what is accepted here.
    custom_validator: (pattern: string) => regexError(pattern, 'im'),
    description: 'Regular expression. What it matches first in the model’s answer is taken.',
  },
} as const;

/** The way to the LLM. `http_timeout` in milliseconds. */
export const connection = {
  http_timeout: {
    type: 'integer',
    required: true,
    default: 60000,
    description: 'Milliseconds until the model is given up.',
  },
  https_verify: {
    type: 'boolean',
    required: true,
    default: true,
    description: 'Whether the certificate of the model’s server is checked.',
  },
  max_request_body_size: maxRequestBodySize,
  http_proxy_host: { ...host, description: 'The proxy that the model is reached through by HTTP.' },
  http_proxy_port: { ...port, description: 'Where that proxy listens.' },
  https_proxy_host: { ...host, description: 'The proxy that the model is reached through by HTTPS.' },
  https_proxy_port: { ...port, description: 'Where that proxy listens.' },
} as const;

/** What the way needs of a host. */
export function* needsOfConnection(config: Readonly<Row>) {
  if (config.https_verify === false) yield need('tls_unverified', 'config.https_verify', false);
  if (typeof config.http_proxy_host === 'string')
    yield need('http_proxy', 'config.http_proxy_host', config.http_proxy_host);
  if (typeof config.https_proxy_host === 'string')
    yield need('http_proxy', 'config.https_proxy_host', config.https_proxy_host);
}

/** Checks of the plugin: it chats, and a proxy has host and port. */
export const transformerChecks: readonly EntityCheck[] = [
  {
    conditional: {
      if_field: 'config.llm.route_type',
      if_match: { not_one_of: ['llm/v1/chat'] },
      then_field: 'config.llm.route_type',
      then_match: { eq: 'llm/v1/chat' },
      then_err: "'config.llm.route_type' must be 'llm/v1/chat' for AI transformer plugins",
    },
  },
  { mutually_required: ['config.http_proxy_host', 'config.http_proxy_port'] },
  { mutually_required: ['config.https_proxy_host', 'config.https_proxy_port'] },
];
