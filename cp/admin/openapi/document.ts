import type { EntitySchema, PluginSchema } from '../../../shared/schema/vocabulary.ts';
import { SERIAL } from '../cluster/freshness.ts';
import { WITHHELD } from '../cluster/unreached.ts';
import { type AdminRoute, type Method, operationsOf } from '../route.ts';
import { componentSchemas } from './components.ts';
import type { JsonSchema, OperationDescription } from './description.ts';

export const OPENAPI_PATH = '/openapi.json';

/** `GET /openapi.json`: the Admin API described by the same tables that serve it. */
export function openApiRoutes(
  routes: readonly AdminRoute[],
  entities: readonly EntitySchema[],
  version: string,
): AdminRoute[] {
  const own: AdminRoute = {
    path: OPENAPI_PATH,
    methods: {
      GET: {
        describe: {
          summary: 'This document',
          tag: 'information',
          success: { status: 200, schema: { type: 'object' } },
        },
        async handle({ luaPlugins }) {
          const sent = await luaPlugins.all();
          const body = sent.length === 0 ? text : documentWith(sent);
          return { status: 200, body, headers: { 'content-type': 'application/json; charset=utf-8' } };
        },
      },
    },
  };
  const documentWith = (luaPlugins: readonly PluginSchema[]) =>
    JSON.stringify(openApiDocument([...routes, own], entities, version, luaPlugins));
  const text = documentWith([]);
  return [own];
}

/** An OpenAPI 3.1.0 document (https://spec.openapis.org/oas/v3.1.0). */
function openApiDocument(
  routes: readonly AdminRoute[],
  entities: readonly EntitySchema[],
  version: string,
  luaPlugins: readonly PluginSchema[],
): JsonSchema {
  const described = routes.filter((route) => route.disabled !== true);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast Admin API',
      version,
      description: 'Compatible with the Admin API of Kong 3.9.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [
      { url: '/', description: 'The default workspace.' },
      { url: '/{workspace}', description: 'A workspace by name.', variables: { workspace: { default: 'default' } } },
    ],
    tags: [...new Set(described.flatMap((route) => operationsOf(route).map(([, { describe }]) => describe.tag)))]
      .sort()
      .map((name) => ({ name })),
    paths: Object.fromEntries(described.map((route) => [route.path, pathItem(route)])),
    components: { schemas: componentSchemas(entities, luaPlugins), responses: sharedResponses },
  };
}

function pathItem(route: AdminRoute): JsonSchema {
  const { path, body } = route;
  const parameters = [...path.matchAll(/\{([^}]*)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', minLength: 1 },
  }));
  return {
    ...(parameters.length > 0 && { parameters }),
    ...Object.fromEntries(
      operationsOf(route).map(([method, { describe }]) => [
        method.toLowerCase(),
        operationObject(path, method, describe, body?.yaml === true),
      ]),
    ),
  };
}

function operationObject(path: string, method: Method, describe: OperationDescription, yaml: boolean): JsonSchema {
  return {
    operationId: operationId(path, method),
    summary: describe.summary,
    tags: [describe.tag],
    ...(describe.query !== undefined && {
      parameters: describe.query.map((parameter) => ({ ...parameter, in: 'query', required: false })),
    }),
    ...(describe.body !== undefined && {
      requestBody: {
        required: describe.body.required,
        content: {
          'application/json': { schema: describe.body.schema },
          'application/x-www-form-urlencoded': { schema: { type: 'object' } },
          'multipart/form-data': { schema: { type: 'object' } },
          ...(yaml && { 'application/yaml': { schema: { type: 'string' } } }),
        },
      },
    }),
    responses: responses(method, describe),
  };
}

/** `POST /services/{services}/routes` is `postServicesByServicesRoutes`. */
function operationId(path: string, method: Method): string {
  const words = path
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => segment.replace(/^\{(.*)\}$/, 'by-$1'))
    .flatMap((segment) => segment.split(/[^A-Za-z0-9]+/));
  return [method.toLowerCase(), ...(words.length === 0 ? ['root'] : words)]
    .map((word, i) => (i === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)))
    .join('');
}

function responses(
  method: Method,
  { success, tellsUnreached, tellsSerial, errors = [] }: OperationDescription,
): JsonSchema {
  const headers = {
    ...(tellsSerial && { [SERIAL]: serialHeader }),
    ...(tellsUnreached && { [WITHHELD]: withheldHeader }),
  };
  const content =
    success.schema === undefined
      ? {}
      : { content: { [success.contentType ?? 'application/json']: { schema: success.schema } } };
  const answers: Record<string, JsonSchema> = {
    [success.status]: {
      description: DESCRIPTIONS[success.status] ?? 'Success',
      ...(method !== 'GET' && Object.keys(headers).length > 0 && { headers }),
      ...content,
    },
    403: reference('403'),
    404: reference('404'),
    500: reference('500'),
  };
  for (const status of errors) answers[status] = reference(String(status));
  if (method !== 'GET') {
    answers['400'] = reference('400');
    if (method !== 'DELETE') for (const status of ['413', '415']) answers[status] = reference(status);
  } else {
    answers['400'] = reference('400');
  }
  return answers;
}

const serialHeader: JsonSchema = {
  description: 'Serial of a config that has what was written; `GET /wait/{serial}` answers once data planes serve it.',
  schema: { type: 'integer' },
};

const withheldHeader: JsonSchema = {
  description:
    'What was written is committed, but does not reach every data plane: which, and why. Absent when all is well.',
  schema: { type: 'string' },
};

const DESCRIPTIONS: Readonly<Record<number, string>> = { 200: 'OK', 201: 'Created', 204: 'Done; no body' };
const reference = (status: string): JsonSchema => ({ $ref: `#/components/responses/${status}` });

const json = (schema: JsonSchema) => ({ content: { 'application/json': { schema } } });
const messageRef = { $ref: '#/components/schemas/message' };
const kongErrorRef = { $ref: '#/components/schemas/kong_error' };

const sharedResponses: JsonSchema = {
  304: { description: 'Nothing has changed; no body.' },
  400: { description: 'The request is wrong; the body says where.', ...json({ anyOf: [kongErrorRef, messageRef] }) },
  403: {
    description: 'A browser asks for a page that may not, or under a name that is not one of this server.',
    ...json(messageRef),
  },
  404: { description: 'There is no such path, workspace or row.', ...json({ anyOf: [kongErrorRef, messageRef] }) },
  405: { description: 'The path does not take this method.', ...json(messageRef) },
  409: { description: 'A unique field is taken.', ...json(kongErrorRef) },
  412: { description: 'The row is not what `If-Match` says.', ...json(messageRef) },
  413: { description: 'The body is too large.', ...json(messageRef) },
  415: {
    description: 'The body is of a type that is not taken.',
    content: { 'text/html': { schema: { type: 'string' } } },
  },
  429: { description: 'Too early: try again after `Retry-After` seconds.', ...json(messageRef) },
  501: { description: 'This control plane has no such part.', ...json(messageRef) },
  503: { description: 'Nobody is there to ask.', ...json(messageRef) },
  504: { description: 'No answer came in time.', ...json(messageRef) },
  500: { description: 'Something failed at the control plane; its log says what.', ...json(messageRef) },
};
