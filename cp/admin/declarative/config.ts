import { operationUnsupported } from '../../../shared/schema/errors.ts';
import type { AdminLog } from '../options.ts';
import { message, ok, Refusal, type Reply } from '../reply.ts';
import { argument } from '../request/body.ts';
import type { AdminRoute, Call } from '../route.ts';
import type { ConfigLoader } from './config-loader.ts';

/** Bytes of a declarative document: one of entities beyond what the process has memory for is refused by their number. */
const DOCUMENT_LIMIT = 256 << 20;

/** Characters that are sent at a time. */
const PIECE = 1 << 16;

/** A document is weighed before it is parsed: what is made of a text may be many times as large. */
const bodyFor = (loader: ConfigLoader | null): NonNullable<AdminRoute['body']> => ({
  limit: DOCUMENT_LIMIT,
  yaml: true,
  ...(loader !== null && { beforeJson: (text: string) => loader.requireRoom(text) }),
});

/** How many rows the document created or changed, deleted, and found as they should be. */
const CHANGES = 'x-holdfast-config-changes';

const stillLoading: Reply = {
  ...message(429, 'Currently loading previous configuration'),
  headers: { 'retry-after': '5' },
};

const NO_MERGING = 'cannot import into the config when not using a database: send the whole document to /config';

const notWithDatabase = message(400, 'this endpoint is only available when Kong is configured to not use a database');

/**
 * `/config`. Kong offers it without a database only. Here `POST` loads a declarative document with a database, too, as
 * one change; `GET` keeps Kong's answer for nodes with one. `/config/import` and `/config/export` are what
 * `holdfast config` asks of a running instance. `dbless`: entities change by `POST /config` alone.
 */
export function configRoutes(loader: ConfigLoader | null, dbless: boolean, log: AdminLog): AdminRoute[] {
  return [replacing(loader, dbless, log), merging(loader, dbless, log), exporting(loader)];
}

/** `/config/diff`: a question, though a document is sent with it. */
export function configDiffRoutes(loader: ConfigLoader | null): AdminRoute[] {
  return [comparing(loader)];
}

function replacing(loader: ConfigLoader | null, dbless: boolean, log: AdminLog): AdminRoute {
  return {
    path: '/config',
    body: bodyFor(loader),
    methods: {
      GET: {
        describe: {
          summary: 'The configuration as a declarative document, with `database = off` only',
          tag: 'config',
          success: { status: 200, schema: { type: 'object', properties: { config: { type: 'string' } } } },
          errors: [400],
        },
        async handle(call) {
          if (loader === null || !dbless) return notWithDatabase;
          return ok({ config: await documentText(loader, call) });
        },
      },
      POST: {
        describe: {
          summary: 'Replace the configuration by a declarative document, as one change',
          tag: 'config',
          query: [
            {
              name: 'flatten_errors',
              description: '`1`: report errors entity by entity.',
              schema: { type: 'string' },
            },
            {
              name: 'check_hash',
              description: '`1`: answer 304 when this very text was loaded last and nothing has changed since.',
              schema: { type: 'string' },
            },
          ],
          body: { required: true, schema: { type: 'object' } },
          success: { status: 201, schema: { type: 'object', additionalProperties: { type: 'object' } } },
          errors: [304, 400, 429],
        },
        async handle(call) {
          if (loader === null) return notWithDatabase;
          const asked = (name: string) => isTrue(call.query.get(name) ?? argument(call.body, name));
          const loaded = await loader.load(call.workspace.name, documentOf(call), {
            flattenErrors: asked('flatten_errors'),
            checkHash: asked('check_hash'),
          });
          if (loaded.outcome === 'busy') return stillLoading;
          if (loaded.outcome === 'unchanged') return { status: 304 };
          const { written, unchanged, deleted } = loaded;
          // What a document lacks is deleted, which Kong with a database never does by this request.
          log(
            deleted > 0 && !dbless ? 'warn' : 'info',
            `POST /config made a document the config of workspace '${call.workspace.name}': ` +
              `${deleted} entities deleted, ${written} written, ${unchanged} unchanged`,
          );
          const headers = { [CHANGES]: `written=${written}, deleted=${deleted}, unchanged=${unchanged}` };
          const body = loaded.config ?? {
            message: `the document is the config now; its ${written + unchanged} entities are too many to be listed`,
          };
          return { status: 201, body, headers };
        },
      },
    },
  };
}

function merging(loader: ConfigLoader | null, dbless: boolean, log: AdminLog): AdminRoute {
  return {
    path: '/config/import',
    body: bodyFor(loader),
    methods: {
      POST: {
        describe: {
          summary: 'Create and change what a declarative document names, as one change; what it does not name stays',
          tag: 'config',
          body: { required: true, schema: { type: 'object' } },
          success: {
            status: 200,
            schema: {
              type: 'object',
              properties: {
                written: { type: 'integer' },
                unchanged: { type: 'integer' },
                warnings: { type: 'array', items: { type: 'string' } },
              },
            },
          },
          errors: [400, 405, 409, 429],
        },
        async handle(call) {
          if (loader === null) return notWithDatabase;
          if (dbless) throw operationUnsupported(NO_MERGING);
          const merged = await loader.merge(call.workspace.name, documentOf(call));
          if (merged === null) return stillLoading;
          const { written, unchanged } = merged;
          const counts = `${written} entities written, ${unchanged} unchanged`;
          log('info', `POST /config/import in workspace '${call.workspace.name}': ${counts}`);
          return ok(merged);
        },
      },
    },
  };
}

function comparing(loader: ConfigLoader | null): AdminRoute {
  return {
    path: '/config/diff',
    body: bodyFor(loader),
    methods: {
      POST: {
        describe: {
          summary: 'What importing a declarative document would create and change; nothing is written',
          tag: 'config',
          body: { required: true, schema: { type: 'object' } },
          success: { status: 200, schema: { type: 'object', properties: { data: { type: 'array' } } } },
          errors: [400, 409],
        },
        async handle(call) {
          if (loader === null) return notWithDatabase;
          return ok({ data: await loader.compare(call.workspace.name, documentOf(call)) });
        },
      },
    },
  };
}

function exporting(loader: ConfigLoader | null): AdminRoute {
  return {
    path: '/config/export',
    methods: {
      GET: {
        describe: {
          summary: 'The workspace as a declarative document in YAML, secrets included',
          tag: 'config',
          success: { status: 200, schema: { type: 'string' } },
          errors: [400],
        },
        async handle(call) {
          if (loader === null) return notWithDatabase;
          const pieces = encoded(loader.document(call.workspace.name));
          // What fails at once, as without a database, has an answer of its own.
          const first = await pieces.next();
          const stream = ReadableStream.from(withFirst(first, pieces));
          return { status: 200, headers: { 'content-type': 'application/yaml; charset=utf-8' }, stream };
        },
      },
    },
  };
}

async function* withFirst<T>(first: IteratorResult<T>, rest: AsyncIterable<T>): AsyncGenerator<T> {
  if (!first.done) yield first.value;
  yield* rest;
}

async function* encoded(document: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  let waiting = '';
  for await (const text of document) {
    waiting += text;
    if (waiting.length < PIECE) continue;
    yield encoder.encode(waiting);
    waiting = '';
  }
  yield encoder.encode(waiting);
}

async function documentText(loader: ConfigLoader, { workspace }: Call): Promise<string> {
  let whole = '';
  for await (const text of loader.document(workspace.name)) whole += text;
  return whole;
}

function documentOf({ body }: Call): string | Readonly<Record<string, unknown>> {
  if (body.kind === 'yaml') return body.text;
  const config = argument(body, 'config');
  if (typeof config === 'string' && config !== '') return config;
  if (body.kind === 'json') {
    const { flatten_errors: _flatten, check_hash: _check, ...document } = body.args;
    if (Object.keys(document).length > 0) return document;
  }
  throw new Refusal(message(400, 'expected a declarative configuration'));
}

const isTrue = (value: unknown): boolean =>
  value === true || value === 1 || (typeof value === 'string' && /^(?:true|1|on|yes)$/i.test(value));
