import { referencedByOthers } from '../../../shared/schema/errors.ts';
import type { Behaviour } from './behaviour.ts';

/** References to CA certificates are lists of ids, out of reach of foreign keys. */
const REFERRERS = [
  {
    entity: 'services',
    sql: `SELECT id FROM services WHERE EXISTS (SELECT FROM unnest(ca_certificates) AS one WHERE lower(one) = $1) LIMIT 1`,
  },
  {
    entity: 'plugins',
    sql: `SELECT id FROM plugins WHERE json_typeof(config->'ca_certificates') = 'array' AND EXISTS (
      SELECT FROM json_array_elements_text(CASE json_typeof(config->'ca_certificates') WHEN 'array' THEN config->'ca_certificates' ELSE '[]' END) AS one
      WHERE lower(one) = $1) LIMIT 1`,
  },
];

/** A CA certificate that is still trusted somewhere is not deleted. */
export const caCertificates: Behaviour = {
  async beforeDelete(id, { session }) {
    for (const { entity, sql } of REFERRERS) {
      const [referrer] = await session.query(sql, [id]);
      if (referrer !== undefined) throw referencedByOthers(id, entity, String(referrer.id));
    }
  },
};
