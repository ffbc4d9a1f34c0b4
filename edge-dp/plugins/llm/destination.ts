import type { Operation } from './driver.ts';
import type { Model, RouteType } from './model.ts';
import { RefusedPayload } from './validation.ts';

/** Where a request for a model goes. */
export interface Destination {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** Escaped, as it goes on the wire. */
  readonly path: string;
}

/** What of a request decides it besides the model. */
export interface Asked {
  readonly route: RouteType;
  readonly streaming: boolean;
  /** The client's path, which `preserve` keeps. */
  readonly path: string;
}

/** Where the model is. Throws where `upstream_url` is no URL once its templates are filled in; `RefusedPayload` for a name that is none. */
export function destinationOf(model: Model, asked: Asked): Destination {
  const { options } = model;
  const given = options?.upstream_url ?? null;
  const url = new URL(given ?? baseOf(model));
  const suffix = model.provider === 'huggingface' && asked.route !== 'llm/v1/completions' ? '/v1/chat/completions' : '';
  const chosen = given === null ? (options?.upstream_path ?? null) : null;
  const keeps =
    asked.route === 'preserve' && (options?.upstream_path ?? null) === null && model.provider !== 'huggingface';
  const own =
    given === null ? `${trimmed(url.pathname)}${chosen ?? pathOf(model, asked)}` : `${trimmed(url.pathname)}${suffix}`;
  const path = keeps ? asked.path : own;
  const scheme = url.protocol === 'http:' ? 'http' : 'https';
  return {
    scheme,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    // Kong takes 443 for a URL that says none, whatever its scheme.
    port: url.port === '' ? 443 : Number(url.port),
    path: path.replace(/^\/*/, '/'),
  };
}

function trimmed(pathname: string): string {
  return pathname === '/' ? '' : pathname;
}

function baseOf({ provider, name, options }: Model): string {
  switch (provider) {
    case 'openai':
      return 'https://api.openai.com';
    case 'anthropic':
      return 'https://api.anthropic.com';
    case 'cohere':
      return 'https://api.cohere.com';
    case 'mistral':
      return 'https://api.mistral.ai';
    case 'azure': {
      const { azure_instance: instance, azure_deployment_id: deployment } = options ?? {};
      return `https://${labelsOf(instance)}.openai.azure.com/openai/deployments/${deployment}`;
    }
    case 'gemini':
      return `https://${isVertex(options) ? options?.gemini?.api_endpoint : 'generativelanguage.googleapis.com'}`;
    case 'bedrock':
      return `https://bedrock-runtime.${labelsOf(options?.bedrock?.aws_region)}.amazonaws.com`;
    case 'huggingface':
      return `https://api-inference.huggingface.co/models/${segmentsOf(name ?? '')}`;
    case 'llama2':
      throw new Error('llama2 has no address of its own: upstream_url must be set');
  }
}

/** A part of a host's name that clients may choose by a template, and no other host. */
function labelsOf(part: unknown): string {
  const text = String(part);
  if (!/^[\w.-]+$/.test(text)) throw new RefusedPayload(`${JSON.stringify(text)} is no part of a host's name`);
  return text;
}

/** A name that clients may choose, and no way out of the folder of models, where the gateway's credentials would go along. */
function segmentsOf(name: string): string {
  const segments = name.split('/');
  if (segments.some((segment) => segment === '.' || segment === '..')) {
    throw new RefusedPayload(`model ${JSON.stringify(name)} has a name that none has`);
  }
  return segments.map(encodeURIComponent).join('/');
}

function isVertex(options: Model['options']): boolean {
  return typeof options?.gemini?.project_id === 'string';
}

const PATHS: Readonly<Record<string, Readonly<Record<Operation, string>>>> = {
  openai: { 'llm/v1/chat': '/v1/chat/completions', 'llm/v1/completions': '/v1/completions' },
  azure: { 'llm/v1/chat': '/chat/completions', 'llm/v1/completions': '/completions' },
  anthropic: { 'llm/v1/chat': '/v1/messages', 'llm/v1/completions': '/v1/complete' },
  cohere: { 'llm/v1/chat': '/v1/chat', 'llm/v1/completions': '/v1/generate' },
  mistral: { 'llm/v1/chat': '/v1/chat/completions', 'llm/v1/completions': '/' },
  huggingface: { 'llm/v1/chat': '/v1/chat/completions', 'llm/v1/completions': '' },
};

function pathOf(model: Model, { route, streaming }: Asked): string {
  const name = encodeURIComponent(model.name ?? '');
  if (model.provider === 'bedrock' && /^\.{1,2}$/.test(name)) throw new RefusedPayload(`'${name}' is no model`);
  if (model.provider === 'bedrock') return `/model/${name}/${streaming ? 'converse-stream' : 'converse'}`;
  if (model.provider === 'gemini') {
    const called = `${name}:${streaming ? 'streamGenerateContent' : 'generateContent'}`;
    if (!isVertex(model.options)) return `/v1beta/models/${called}`;
    const { project_id: project, location_id: location } = model.options?.gemini ?? {};
    return `/v1/projects/${project}/locations/${location}/publishers/google/models/${called}`;
  }
  return route === 'preserve' ? '/' : (PATHS[model.provider]?.[route] ?? '/');
}
