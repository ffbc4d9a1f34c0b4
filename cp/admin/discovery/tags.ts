import * as errors from '../../../shared/schema/errors.ts';
import { pageBody, pageBounds, pageParameters } from '../entity/page.ts';
import { objectOf, pageOf } from '../openapi/description.ts';
import { ok } from '../reply.ts';
import { type AdminRoute, type Operation, param } from '../route.ts';

const item = objectOf({
  entity_name: { type: 'string' },
  entity_id: { type: 'string' },
  tag: { type: 'string' },
});

/** `/tags` and `/tags/{tag}`: which entities carry which tags. Read-only. */
export const tagRoutes: readonly AdminRoute[] = [
  {
    path: '/tags',
    methods: {
      GET: {
        describe: {
          summary: 'List tags and the entities that carry them',
          tag: 'tags',
          query: pageParameters,
          success: { status: 200, schema: pageOf(item) },
          errors: [400],
        },
        async handle(call) {
          const { tags, ...rest } = await call.workspace.tags(pageBounds(call.query));
          return ok(pageBody({ rows: tags, ...rest }, '/tags', { size: call.query.get('size') }));
        },
      },
      POST: refused('Never allowed: tags are written with the entities that carry them'),
    },
  },
  {
    path: '/tags/{tags}',
    methods: {
      GET: {
        describe: {
          summary: 'List the entities that carry a tag',
          tag: 'tags',
          query: pageParameters,
          success: { status: 200, schema: pageOf(item) },
          errors: [400],
        },
        async handle(call) {
          const tag = param(call, 'tags');
          if (!isTag(tag)) {
            const text = `invalid tag '${tag}': expected printable ascii (except \`,\` and \`/\`) or valid utf-8 sequences`;
            throw errors.invalidUnique('tag', text);
          }
          const { tags, ...rest } = await call.workspace.tags({ ...pageBounds(call.query), tag });
          return ok(pageBody({ rows: tags, ...rest }, `/tags/${encodeURIComponent(tag)}`));
        },
      },
      PUT: refused('Never allowed'),
      PATCH: refused('Never allowed'),
      DELETE: refused('Never allowed'),
    },
  },
];

const isTag = (tag: string): boolean => /^[\x20-\x2B\x2D\x2E\x30-\x7E\x80-\u{10FFFF}]+$/u.test(tag);

function refused(summary: string): Operation {
  return {
    describe: { summary, tag: 'tags', success: { status: 204 }, errors: [400] },
    handle() {
      throw errors.schemaViolation({ tags: 'does not support insert/upsert/update/delete operations' });
    },
  };
}
