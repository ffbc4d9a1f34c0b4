import { plugins } from '../../../shared/plugins/registry.ts';
import { printSchema } from '../../../shared/schema/print.ts';
import { objectOf } from '../openapi/description.ts';
import { message, ok } from '../reply.ts';
import { type AdminRoute, param } from '../route.ts';

/** `/plugins/enabled`, with `enabled` of the known ones (null: all), and the deprecated `/plugins/schema/{name}`. */
export const pluginRoutes = (enabled: ReadonlySet<string> | null): readonly AdminRoute[] => [
  {
    path: '/plugins/enabled',
    methods: {
      GET: {
        describe: {
          summary: 'Names of the plugins that can be configured',
          tag: 'plugins',
          success: {
            status: 200,
            schema: objectOf({ enabled_plugins: { type: 'array', items: { type: 'string' } } }),
          },
        },
        async handle({ luaPlugins }) {
          const bundled = [...plugins.keys()].filter((name) => enabled?.has(name) ?? true);
          return ok({ enabled_plugins: [...bundled, ...(await luaPlugins.all()).map(({ name }) => name)] });
        },
      },
    },
  },
  {
    path: '/plugins/schema/{name}',
    methods: {
      GET: {
        describe: {
          summary: 'Deprecated: the schema of a plugin’s config. Use /schemas/plugins/{name}',
          tag: 'plugins',
          success: { status: 200, schema: { type: 'object' } },
          errors: [404],
        },
        async handle(call) {
          const name = param(call, 'name');
          const config = (plugins.get(name) ?? (await call.luaPlugins.named(name)))?.fields.config;
          return config?.type === 'record' ? ok(printSchema(config)) : message(404, `No plugin named '${name}'`);
        },
      },
    },
  },
];
