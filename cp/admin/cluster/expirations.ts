import { createHash, X509Certificate } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Expirations, StoredCertificate } from '../../store/expirations.ts';
import { type JsonSchema, objectOf } from '../openapi/description.ts';
import { message, ok } from '../reply.ts';
import type { AdminRoute } from '../route.ts';

const MONTH = 30 * 86_400;
/** Certificates that are looked at, and rows of an answer. */
const MOST_CERTIFICATES = 5_000;
const MOST = 1_000;
/** Certificates that are read before others are answered. */
const AT_ONCE = 100;

/** `GET /expirations`: certificates, authorities and API keys that are over soon, or already, the first ones first. */
export function expirationRoutes(store: Expirations): AdminRoute[] {
  const certificates = new CertificateEnds(store);
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
            const ending = (await certificates.read()).filter(({ expires_at }) => expires_at < until);
            const keys = (await store.keys(within, MOST)).map((key) => ({ entity: 'keyauth_credentials', ...key }));
            const data = [...ending, ...keys].toSorted((a, b) => a.expires_at - b.expires_at);
            return ok({ data: data.slice(0, MOST) });
          },
        },
      },
    },
  ];
}

/** Of a row, which may have two certificates. */
interface Expiration extends Omit<StoredCertificate, 'certs'> {
  /** Unix seconds. */
  readonly expires_at: number;
}

type Ending = Pick<Expiration, 'expires_at'> & { readonly subject: string | null };

/**
 * When the certificates of a store end. The page of the Manager asks after every write, and thousands take a second to read, so that
 * what was read is remembered for the next time, by its digest.
 */
class CertificateEnds {
  readonly #store: Expirations;
  #known: ReadonlyMap<string, Ending | null> = new Map();

  constructor(store: Expirations) {
    this.#store = store;
  }

  async read(): Promise<readonly Expiration[]> {
    const now = new Map<string, Ending | null>();
    let fresh = 0;
    const found: Expiration[] = [];
    for (const { certs, ...one } of await this.#store.certificates(MOST_CERTIFICATES)) {
      for (const pem of certs) {
        const digest = createHash('sha256').update(pem).digest('base64');
        let ending = this.#known.get(digest);
        if (ending === undefined) {
          ending = endingOf(pem);
          if (++fresh % AT_ONCE === 0) await setImmediate();
        }
        now.set(digest, ending);
        if (ending === null) continue;
        const { expires_at, subject } = ending;
        found.push({ ...one, name: one.name ?? subject, expires_at });
      }
    }
    this.#known = now;
    return found;
  }
}

/** Null: of a certificate that a vault has. */
function endingOf(pem: string): Ending | null {
  try {
    const { validToDate, subject } = new X509Certificate(pem);
    return { expires_at: validToDate.getTime() / 1000, subject: /^CN=(.*)$/m.exec(subject)?.[1] ?? null };
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
