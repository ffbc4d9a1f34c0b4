import { schemaViolation } from '../../../shared/schema/errors.ts';
import type { Session } from '../database.ts';
import { idOf } from '../row-json.ts';
import type { Behaviour } from './behaviour.ts';

/** A plugin that could never run, because no route it is for speaks one of its protocols, is refused. */
export const plugins: Behaviour = {
  async beforeWrite(row, { operation, input, session }) {
    const touched = operation !== 'update' || ['protocols', 'route', 'service'].some((field) => field in input);
    const { protocols } = row;
    if (!touched || !Array.isArray(protocols)) return row;
    const spoken = protocols.filter((protocol) => typeof protocol === 'string');
    const route = idOf(row.route);
    const service = idOf(row.service);
    if (typeof route === 'string') {
      if (!(await anyRouteSpeaks('id', route, spoken, session))) {
        throw schemaViolation({ protocols: "must match the associated route's protocols" });
      }
    } else if (typeof service === 'string' && !(await anyRouteSpeaks('service_id', service, spoken, session))) {
      throw schemaViolation({
        protocols: "must match the protocols of at least one route pointing to this Plugin's service",
      });
    }
    return row;
  },
};

/** True as well when there is no such route: a service may get its routes later, and a missing route is found out anyway. */
async function anyRouteSpeaks(
  column: 'id' | 'service_id',
  id: string,
  protocols: readonly string[],
  session: Session,
): Promise<boolean> {
  const [answer] = await session.query(
    {
      name: `protocols_of_routes_by_${column}`,
      text: `SELECT coalesce(bool_or(protocols && $2::text[]), true) AS speaks FROM routes WHERE ${column} = $1::uuid`,
    },
    [id, protocols],
  );
  return answer?.speaks === true;
}
