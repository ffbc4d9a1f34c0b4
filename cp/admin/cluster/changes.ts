import type { ChangeLog } from '../../store/store.ts';
import { pageBody, pageBounds, pageParameters } from '../entity/page.ts';
import { type JsonSchema, objectOf, pageOf } from '../openapi/description.ts';
import { ok } from '../reply.ts';
import type { AdminRoute } from '../route.ts';

/** `GET /changes`: what was written, transaction by transaction, as far back as the change log reaches. */
export function changeRoutes(log: Pick<ChangeLog, 'page'>): AdminRoute[] {
  return [
    {
      path: '/changes',
      methods: {
        GET: {
          describe: {
            summary: 'List what was written, the newest first, by transaction',
            tag: 'cluster',
            query: pageParameters,
            success: { status: 200, schema: pageOf(commit) },
            errors: [400],
          },
          async handle({ query }) {
            const { commits, offset } = await log.page(pageBounds(query));
            const page = offset === undefined ? { rows: commits } : { rows: commits, offset };
            return ok(pageBody(page, '/changes', { size: query.get('size') }));
          },
        },
      },
    },
  ];
}

const commit: JsonSchema = objectOf({
  serial: { type: 'integer' },
  at: { type: 'number', description: 'When it was committed, by the database’s clock.' },
  by: {
    description: 'Who did it, as far as that is known; null: nobody said.',
    oneOf: [
      { type: 'null' },
      objectOf({
        via: { type: 'string', enum: ['admin_api', 'command', 'control_plane'] },
        user: {
          type: ['string', 'null'],
          description: 'As a trusted proxy says (admin_user_header), or of the system where a command ran.',
        },
        address: { type: ['string', 'null'], description: 'Of the client.' },
        client: { type: ['string', 'null'], description: 'Its program: what User-Agent says, shortened.' },
      }),
    ],
  },
  total: { type: 'integer', description: 'Rows that it changed.' },
  changes: {
    type: 'array',
    description: 'The first 20 of them.',
    items: objectOf({
      entity: { type: 'string' },
      id: { type: 'string' },
      name: { type: ['string', 'null'], description: 'What it is called now; null: it is gone, or has no name.' },
      operation: { type: 'string', enum: ['create', 'update', 'delete'] },
    }),
  },
});
