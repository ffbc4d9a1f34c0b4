import { X509Certificate } from 'node:crypto';
import type { Expirations } from '../../store/expirations.ts';
import { type JsonSchema, objectOf } from '../openapi/description.ts';
import { message, ok } from '../reply.ts';
import type { AdminRoute } from '../route.ts';

const MONTH = 30 * 86_400;
/** Certificates that are looked at, and rows of an answer. */
const MOST_CERTIFICATES = 5_000;
const MOST = 1_000;

/** `GET /expirations`: certificates, authorities and API keys that are over soon, or already, the first ones first. */
export function expirationRoutes(store: Expirations): AdminRoute[] {
  return [
    {
      path: '/expirations',
      methods: {
        GET: {
          describe: {
            summary: 'List certificates and API keys that expire soon, or have expired',
            tag: 'cluster',
            query: [
              {
                name: 'within',
                description: 'Seconds; 30 days unless given.',
                schema: { type: 'integer', minimum: 1 },
              },
            ],
            success: { status: 200, schema: objectOf({ data: { type: 'array', items: row } }) },
            errors: [400],
          },
          async handle({ query }) {
            const given = query.get('within') ?? '';
            const within = given === '' ? MONTH : /^\d{1,10}$/.test(given) ? Number(given) : 0;
            if (within === 0) return message(400, `within: expected seconds, found '${given}'`);
            const until = Date.now() / 1000 + within;
            const certificates = (await store.certificates(MOST_CERTIFICATES)).flatMap(({ certs, ...one }) =>
              certs.flatMap((pem) => {
                const read = parsed(pem);
                return read === null || read.ends >= until
                  ? []
                  : [{ ...one, name: one.name ?? read.subject, expires_at: read.ends }];
              }),
            );
            const keys = (await store.keys(within, MOST)).map((key) => ({ entity: 'keyauth_credentials', ...key }));
            const data = [...certificates, ...keys].toSorted((a, b) => a.expires_at - b.expires_at);
            return ok({ data: data.slice(0, MOST) });
          },
        },
      },
    },
  ];
}

/** When a certificate ends, in Unix seconds, and whose it is; null: of one that a vault has. */
function parsed(pem: string): { readonly ends: number; readonly subject: string | null } | null {
  try {
    const { validToDate, subject } = new X509Certificate(pem);
    return { ends: validToDate.getTime() / 1000, subject: /^CN=(.*)$/m.exec(subject)?.[1] ?? null };
  } catch {
    return null;
  }
}

const row: JsonSchema = objectOf({
  entity: { type: 'string', enum: ['certificates', 'ca_certificates', 'keyauth_credentials'] },
  id: { type: 'string' },
  name: { type: ['string', 'null'], description: 'Its first server name, its subject, or the consumer of a key.' },
  workspace: { type: ['string', 'null'], description: 'Null: it is of all of them.' },
  expires_at: { type: 'number', description: 'Unix seconds.' },
});
