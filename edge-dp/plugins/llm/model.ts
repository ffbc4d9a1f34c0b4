import type { AiProxyConfig } from '../../../shared/plugins/ai-proxy.ts';
import { queryValues } from '../../proxy/query.ts';
import type { GatewayRequest } from '../runtime/request.ts';

/** A provider, its model and the model's options, as configured. */
export type Model = AiProxyConfig['model'];
export type ModelOptions = NonNullable<Model['options']>;
export type Auth = AiProxyConfig['auth'];
export type RouteType = AiProxyConfig['route_type'];

/** A model whose texts may hold `$(headers.x)`, `$(query_params.x)` or `$(uri_captures.x)`. */
export interface ModelTemplate {
  /** The same for all requests; null: something is to be filled in. */
  readonly constant: Model | null;
  /** For one request. Throws `TemplateProblem`, which is for the client. */
  fill(request: GatewayRequest): Model;
}

export class TemplateProblem extends Error {
  override readonly name = 'TemplateProblem';
}

export function compileModel(model: Model): ModelTemplate {
  if (!hasTemplate(model)) return { constant: model, fill: () => model };
  return { constant: null, fill: (request) => filled(model, request) };
}

function hasTemplate(value: unknown): boolean {
  if (typeof value === 'string') return TEMPLATE.test(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(hasTemplate);
}

/** Kong fills in the first of a text only. */
function filled<T>(value: T, request: GatewayRequest, name?: string): T;
function filled(value: unknown, request: GatewayRequest, name = ''): unknown {
  if (typeof value === 'string') return filledText(value, request, name);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, filled(item, request, name)]));
}

function filledText(text: string, request: GatewayRequest, name: string): string {
  return text.replace(TEMPLATE, (_, expression: string, at: number) => {
    const [source = '', key = '', ...more] = expression.split('.');
    if (key === '' || more.length > 0) throw new TemplateProblem(`cannot parse expression for field '${text}'`);
    const value = lookedUp(source, key, request);
    if (value === null) throw new TemplateProblem(`${source} key ${key} was not provided`);
    if (leadsUp(value)) throw new TemplateProblem(`${source} key ${key} cannot be a part of a path`);
    const inHost = (name === 'api_endpoint' ? /^[^/?#\\]*$/ : /^https?:\/\/[^/?#\\]*$/i).test(text.slice(0, at));
    if (inHost && !HOST.test(value))
      throw new TemplateProblem(`${source} key ${key} cannot be a part of a host's name`);
    return value;
  });
}

/** What ends no host's name, after which another could be named to the gateway's credentials. */
const HOST = /^[\w.:-]+$/;

/** Whether it leads out of a folder in a URL, where the gateway's credentials would go along. URLs are read without blanks. */
function leadsUp(value: string): boolean {
  return value
    .replace(/[\s\p{Cc}]/gu, '')
    .split(/[/\\]/)
    .some((segment) => DOTS.test(segment));
}

const DOTS = /^(?:\.|%2e){1,2}$/i;

function lookedUp(source: string, key: string, { headers, query, captures }: GatewayRequest): string | null {
  switch (source) {
    case 'headers':
      return headers.get(key);
    case 'query_params': {
      const [value] = queryValues(query, key);
      return typeof value === 'string' ? value : null;
    }
    case 'uri_captures':
      return Object.hasOwn(captures.named, key) ? (captures.named[key] ?? null) : null;
    default:
      throw new TemplateProblem(`source '${source}' is not supported`);
  }
}

const TEMPLATE = /\$\((.*?)\)/;
