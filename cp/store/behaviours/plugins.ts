import { familyOf } from '../../../shared/lua-plugins/source.ts';
import { withLuaPlugins } from '../../../shared/lua-plugins/with-lua-plugins.ts';
import { plugins as bundled } from '../../../shared/plugins/registry.ts';
import { type Row, recordOrEmpty } from '../../../shared/record.ts';
import { schemaViolation } from '../../../shared/schema/errors.ts';
import { messageOf } from '../../../shared/thrown.ts';
import { readProtoFile } from '../../protobuf/proto-file.ts';
import { WITH_PROTO } from '../../protobuf/travelling-proto.ts';
import type { Session } from '../database.ts';
import { idOf } from '../row-json.ts';
import type { Behaviour } from './behaviour.ts';

/**
 * A plugin that could never run, because no route it is for speaks one of its protocols, is refused. Plugins in Lua are rows
 * themselves, which what is configured of them must find.
 */
export const plugins: Behaviour = {
  async context(context, rows, session) {
    const names = [...new Set(rows.map(({ name }) => name).filter(isOfLua))];
    if (names.length === 0 || context.luaPlugins === false) return context;
    // Kept from being deleted or changed until the row that is of it is there.
    const found = await session.query(
      'SELECT to_json(p) AS row FROM custom_plugins AS p WHERE name = ANY ($1::text[]) ORDER BY name FOR SHARE',
      [names],
    );
    return withLuaPlugins(
      context,
      found.map(({ row }) => recordOrEmpty(row)),
    );
  },

  binds: ({ name }) => isOfLua(name),

  async beforeWrite(row, { operation, input, session, workspace }) {
    if (isOfLua(row.name)) await refuseOtherVersion(row, row.name, session, workspace.id);
    refuseUselessProto(row);
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

/** A `.proto` file is this control plane's: it is read where it is configured, and whenever it travels. */
function refuseUselessProto({ name, config }: Row): void {
  const { proto } = recordOrEmpty(config);
  if (!WITH_PROTO.has(name) || typeof proto !== 'string') return;
  try {
    readProtoFile(proto);
  } catch (error) {
    throw schemaViolation({ config: { proto: messageOf(error) } });
  }
}

function isOfLua(name: unknown): name is string {
  return typeof name === 'string' && !bundled.has(name);
}

/** Versions of one plugin take each other's place, so that two cannot be at the same one. */
async function refuseOtherVersion(row: Row, name: string, session: Session, workspace: string): Promise<void> {
  const bound = ['route', 'service', 'consumer', 'consumer_group'].map((field) => idOf(row[field]) ?? null);
  const [other] = await session.query(
    `SELECT name FROM plugins WHERE ws_id = $1::uuid AND id <> $2::uuid AND split_part(name, '@', 1) = $3 AND name <> $4
      AND route_id IS NOT DISTINCT FROM $5::uuid AND service_id IS NOT DISTINCT FROM $6::uuid
      AND consumer_id IS NOT DISTINCT FROM $7::uuid AND consumer_group_id IS NOT DISTINCT FROM $8::uuid
      AND (instance_name IS NULL OR instance_name IS DISTINCT FROM $9) LIMIT 1`,
    [workspace, String(row.id), familyOf(name), name, ...bound.map(textOrNull), textOrNull(row.instance_name ?? null)],
  );
  if (other === undefined) return;
  throw schemaViolation({ name: `'${other.name}', another version of it, is configured at the same place` });
}

const textOrNull = (value: unknown): string | null => (value === null ? null : String(value));

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
