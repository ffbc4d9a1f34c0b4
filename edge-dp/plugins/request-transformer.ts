import type { RequestTransformerConfig } from '../../shared/plugins/request-transformer.ts';
import { KONG_VERSION } from '../../shared/version.ts';
import type { LuaSite } from '../lua/context.ts';
import { escapePath } from '../lua/kong/service.ts';
import { compileTemplate, type Template, TemplateInputs } from '../lua/template.ts';
import { andThen } from './runtime/and-then.ts';
import type { Answer, Plugin, Step } from './runtime/plugin.ts';
import type { GatewayRequest } from './runtime/request.ts';
import { FormParameters } from './transformation/form-parameters.ts';
import { changeParameters } from './transformation/parameters.ts';
import { BODY_LIMIT, bodyKind, changeBody } from './transformation/request-body.ts';
import { changeHeaders } from './transformation/request-headers.ts';
import { compileRules, type Rules } from './transformation/rules.ts';

/** Changes requests on their way to the upstream: path, method, headers, body and query, in this order. */
const requestTransformer: Plugin<RequestTransformerConfig> = {
  name: 'request-transformer',
  version: KONG_VERSION,
  priority: 801,
  compile(config, place, services) {
    const site: LuaSite = { plugin: 'request-transformer', place, services };
    const { remove, rename, replace, add, append, http_method: method } = config;
    const rulesFor = (where: 'headers' | 'body' | 'querystring'): Rules | null =>
      compileRules(
        {
          remove: remove[where],
          rename: rename[where],
          replace: replace[where],
          add: add[where],
          append: append[where],
        },
        services.lua,
      );
    const uri = replace.uri === null ? null : compileTemplate(replace.uri, services.lua);
    const [headers, body, query] = [rulesFor('headers'), rulesFor('body'), rulesFor('querystring')];

    const steps: Transformation[] = [];
    if (uri !== null) steps.push(path(uri));
    if (method !== null) steps.push(toMethod(method));
    if (headers !== null) steps.push(ofHeaders(headers));
    if (body !== null) steps.push(ofBody(body));
    if (query !== null) steps.push(ofQuery(query));
    return {
      access: (request) => runFrom(steps, 0, request, new TemplateInputs(request, site)),
      close() {
        for (const templates of [uri, headers, body, query]) templates?.close();
      },
    };
  },
};

export default requestTransformer;

type Transformation = (request: GatewayRequest, inputs: TemplateInputs) => Step<Answer>;

/** One after the other; without a promise as long as none waits. */
function runFrom(
  steps: readonly Transformation[],
  from: number,
  request: GatewayRequest,
  inputs: TemplateInputs,
): Step<Answer> {
  for (let at = from; at < steps.length; at++) {
    const answer = steps[at]?.(request, inputs);
    if (answer instanceof Promise) return answer.then((given) => given ?? runFrom(steps, at + 1, request, inputs));
    if (answer !== undefined) return answer;
  }
  return undefined;
}

function path(template: Template): Transformation {
  return (request, inputs) =>
    andThen(template.render(inputs), (rendered) => {
      if (!rendered.startsWith('/'))
        throw new Error(`config.replace.uri gave ${JSON.stringify(rendered)}: path must start with /`);
      request.upstream.path = escapePath(rendered);
      return undefined;
    });
}

/** GET, HEAD and TRACE send no form: its fields become arguments of the query. */
function toMethod(method: string): Transformation {
  const bodiless = method === 'GET' || method === 'HEAD' || method === 'TRACE';
  return (request) => {
    request.method = method;
    return bodiless && bodyKind(request) === 'form' ? formIntoQuery(request) : undefined;
  };
}

async function formIntoQuery(request: GatewayRequest): Promise<Answer | undefined> {
  const body = await request.body.read(BODY_LIMIT);
  if (body === null) return request.error(413);
  const form = new FormParameters(body);
  if (form.size === 0) return undefined;
  const query = new FormParameters(request.query);
  query.join(form);
  request.query = query.encodeSorted();
  return undefined;
}

function ofHeaders(rules: Rules): Transformation {
  return (request, inputs) =>
    andThen(rules.render(inputs), (rendered) => {
      inputs.keepHeaders();
      changeHeaders(request.headers, rendered);
      return undefined;
    });
}

function ofBody(rules: Rules): Transformation {
  return (request, inputs) => {
    const kind = bodyKind(request);
    if (kind === null) return undefined;
    return andThen(rules.render(inputs), (rendered) => changeBody(request, kind, rendered));
  };
}

function ofQuery(rules: Rules): Transformation {
  return (request, inputs) =>
    andThen(rules.render(inputs), (rendered) => {
      const parameters = new FormParameters(request.query);
      changeParameters(parameters, rendered);
      request.query = parameters.encodeSorted();
      return undefined;
    });
}
