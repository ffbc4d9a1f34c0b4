import { HEARTBEAT_DEADLINE } from '../../shared/cluster/messages.ts';
import { isRecord, recordOrEmpty } from '../../shared/record.ts';
import { isUuid } from '../../shared/uuid.ts';
import type { Database, SqlRow } from './database.ts';
import type { NodeStep } from './node-step.ts';
import { pageSize, pageToken, readPageToken } from './page-token.ts';
import type { LivingNode, NodeKeys, NodeRecord, NodeRegistry, NodeReport, NodeSummary } from './store.ts';

const CONNECTED = `(control_plane IS NOT NULL AND last_seen > now() - interval '${HEARTBEAT_DEADLINE} ms')`;

/** Bytes of JSON in a page, more or less: what data planes say of themselves is theirs to choose. */
const PAGE_BYTES = 1 << 20;

/** Steps of a data plane that are kept, and characters of a reason. */
const MOST_STEPS = 30;
const MOST_REASON = 500;

const COLUMNS = `id, hostname, ip, version, config_hash, sync_status, labels, cert_details, serial::double precision AS serial,
  reason, node_key, certificate_key, refused_claim, description ->> 'group' AS node_group, description -> 'capabilities' AS capabilities,
  description -> 'load_ms' AS load_ms, ${CONNECTED} AS connected, extract(epoch FROM last_seen)::bigint AS last_seen, extract(epoch FROM updated_at)::bigint AS updated_at,
  greatest(0, ceil(extract(epoch FROM expires_at - now())))::bigint AS ttl`;

/** The data planes that were heard of, for `/clustering/data-planes`. Entries nobody renews vanish. */
export function nodeRegistry(database: Database): NodeRegistry {
  return {
    put: async (node, ttl, controlPlane) =>
      (await putAll(database, [{ id: node.id, node, ttl }], controlPlane)).has(node.id),
    putAll: (nodes, controlPlane) => putAll(database, nodes, controlPlane),
    async renew(nodes, controlPlane) {
      if (nodes.length === 0) return new Set();
      const rows = await database.query(
        {
          name: 'renew_nodes',
          text: `UPDATE nodes SET last_seen = now(), updated_at = now(), expires_at = now() + make_interval(secs => living.ttl)
            FROM unnest($1::uuid[], $2::double precision[]) AS living (id, ttl)
            WHERE nodes.id = living.id AND control_plane = $3::uuid AND expires_at > now() RETURNING nodes.id`,
        },
        [nodes.map(({ id }) => id), nodes.map(({ ttl }) => String(ttl)), controlPlane],
      );
      return idsOf(rows);
    },
    async keys(id) {
      const [row] = await database.query(
        `SELECT node_key, certificate_key, EXISTS (SELECT FROM nodes other WHERE other.certificate_key =
            nodes.certificate_key AND other.id <> nodes.id AND other.expires_at > now()) AS common
         FROM nodes WHERE id = $1::uuid AND expires_at > now()`,
        [id],
      );
      if (row === undefined) return null;
      const keys = keysOf(row);
      return keys.node === null && keys.certificate === null
        ? null
        : { keys, certificateIsCommon: row.common === true };
    },
    async rebind(id, from, to) {
      const rows = await database.query(
        `UPDATE nodes SET node_key = $4, certificate_key = $5 WHERE id = $1::uuid
           AND node_key IS NOT DISTINCT FROM $2 AND certificate_key IS NOT DISTINCT FROM $3 RETURNING id`,
        [id, from.node, from.certificate, to.node, to.certificate],
      );
      return rows.length > 0;
    },
    async noteRefused(id, claim) {
      await database.query('UPDATE nodes SET refused_claim = $2::jsonb WHERE id = $1::uuid', [
        id,
        JSON.stringify(claim),
      ]);
    },
    async forget(id, keys) {
      if (!isUuid(id)) return false;
      const rows = await database.query(
        `DELETE FROM nodes WHERE id = $1::uuid AND ($2::boolean OR (node_key IS NOT DISTINCT FROM $3::text
           AND certificate_key IS NOT DISTINCT FROM $4::text)) RETURNING expires_at > now() AS known`,
        [id, keys === undefined, keys?.node ?? null, keys?.certificate ?? null],
      );
      return rows[0]?.known === true;
    },
    async left(ids, controlPlane) {
      await database.query(
        `UPDATE nodes SET control_plane = NULL, updated_at = now()
         WHERE ($1::uuid[] IS NULL OR id = ANY ($1::uuid[])) AND control_plane = $2::uuid`,
        [ids, controlPlane],
      );
    },
    async health(upstream) {
      const rows = await database.query(
        `SELECT id, hostname, health -> $1 AS targets FROM nodes WHERE ${CONNECTED} AND serial IS NOT NULL AND health ? $1
         ORDER BY id`,
        [upstream],
      );
      return rows.map(({ id, hostname, targets }) => ({ id: String(id), hostname: String(hostname), targets }));
    },
    async troubledElsewhere(controlPlane, { plugins, capabilities }) {
      // An embedded database has one control plane.
      if (database.driver === 'pglite') return [];
      const rows = await database.query(
        {
          name: 'troubled_nodes',
          text: `SELECT ${COLUMNS}, description, health, history FROM nodes WHERE ${CONNECTED} AND control_plane <> $1::uuid
            AND (sync_status NOT IN ('normal', 'unknown') OR NOT coalesce(description -> 'plugins', '{}') ?& $2::text[]
              OR NOT coalesce(description -> 'capabilities', '[]') ?& $3::text[])
            ORDER BY id LIMIT 20`,
        },
        [controlPlane, plugins, capabilities],
      );
      return rows.map(toNode);
    },
    async get(id) {
      if (!isUuid(id)) return null;
      const [row] = await database.query(
        `SELECT ${COLUMNS}, description, health, history FROM nodes WHERE id = $1::uuid AND expires_at > now()`,
        [id],
      );
      return row === undefined ? null : toNode(row);
    },
    async targetsOf(upstreams) {
      const rows = await database.query(
        `SELECT u.id AS upstream, u.name AS upstream_name, w.name AS workspace, t.id AS target, t.target AS address
         FROM targets t JOIN upstreams u ON u.id = t.upstream_id JOIN workspaces w ON w.id = u.ws_id
         WHERE u.id = ANY ($1::text[]::uuid[]) ORDER BY u.name, u.id, t.target`,
        [upstreams.filter(isUuid)],
      );
      return rows.map((row) => ({
        upstream: String(row.upstream),
        upstream_name: String(row.upstream_name),
        workspace: String(row.workspace),
        target: String(row.target),
        address: String(row.address),
      }));
    },
    async page(query = {}) {
      const size = pageSize(query.size);
      const after = query.offset === undefined ? null : (readPageToken(query.offset, 1, isUuid)[0] ?? null);
      const rows = await database.query(
        `SELECT ${COLUMNS} FROM nodes WHERE expires_at > now() AND ($1::uuid IS NULL OR id > $1::uuid)
         ORDER BY id LIMIT $2::integer`,
        [after, size + 1],
      );
      const nodes: NodeSummary[] = [];
      let bytes = 0;
      for (const row of rows.slice(0, size)) {
        const node = toSummary(row);
        bytes += JSON.stringify(node).length;
        if (nodes.length > 0 && bytes > PAGE_BYTES) break;
        nodes.push(node);
      }
      const last = nodes.at(-1);
      return rows.length <= nodes.length || last === undefined ? { nodes } : { nodes, offset: pageToken([last.id]) };
    },
    async standingElsewhere(controlPlane, seconds) {
      // An embedded database has one control plane: of others there is no news.
      if (database.driver === 'pglite' && seconds !== null) return [];
      const rows = await database.query(
        {
          name: 'standing_elsewhere',
          text: `SELECT id, hostname, coalesce(description ->> 'group', 'default') AS node_group, serial::double precision AS serial,
              config_hash, sync_status, reason, coalesce((description ->> 'rejected')::boolean, false) AS rejected,
              ${CONNECTED} AS connected, extract(epoch FROM updated_at)::double precision AS at
            FROM nodes WHERE control_plane IS DISTINCT FROM $1::uuid AND ($2::double precision IS NULL
              OR updated_at > now() - make_interval(secs => $2::double precision)
              OR (last_seen <= now() - interval '${HEARTBEAT_DEADLINE} ms' AND
                last_seen > now() - interval '${HEARTBEAT_DEADLINE} ms' - make_interval(secs => $2::double precision)))`,
        },
        [controlPlane, seconds],
      );
      return rows.map((row) => ({
        id: String(row.id),
        hostname: String(row.hostname),
        group: String(row.node_group),
        connected: row.connected === true,
        serial: row.serial === null ? null : Number(row.serial),
        config_hash: nullableText(row.config_hash),
        sync_status: String(row.sync_status),
        reason: nullableText(row.reason),
        rejected: row.rejected === true,
        at: Number(row.at),
      }));
    },
    async count(network) {
      // Only what has the form of an address of IPv6 is read as one.
      const isOf = network.includes('/')
        ? `CASE WHEN ip ~ '^[0-9a-f]*:[0-9a-f:.]+(%.*)?$' THEN split_part(ip, '%', 1)::inet <<= $1::inet ELSE false END`
        : 'ip = $1';
      const [row] = await database.query(
        `SELECT count(*)::integer AS nodes, count(*) FILTER (WHERE ${isOf})::integer AS of_address
         FROM nodes WHERE expires_at > now()`,
        [network],
      );
      return { all: Number(row?.nodes), ofAddress: Number(row?.of_address) };
    },
    async tally() {
      const rows = await database.query(
        `SELECT ${CONNECTED} AS connected, sync_status, count(*)::integer AS nodes FROM nodes WHERE expires_at > now()
         GROUP BY 1, 2 ORDER BY 1, 2`,
      );
      return rows.map(({ connected, sync_status, nodes }) => ({
        connected: connected === true,
        sync_status: String(sync_status),
        nodes: Number(nodes),
      }));
    },
  };
}

/** In one statement, whoever many they are. */
async function putAll(
  database: Database,
  nodes: readonly LivingNode[],
  controlPlane: string,
): Promise<ReadonlySet<string>> {
  if (nodes.length === 0) return new Set();
  const given = nodes.map(({ node, ttl }) => ({
    id: node.id,
    hostname: node.hostname,
    ip: node.ip,
    version: node.version,
    config_hash: node.config_hash,
    sync_status: node.sync_status,
    ttl,
    labels: node.labels,
    cert_details: node.cert_details,
    serial: node.serial,
    reason: node.reason,
    description: node.description,
    health: node.health,
    node_key: node.keys.node,
    certificate_key: node.keys.certificate,
    step: stepOf(node),
  }));
  const rows = await database.query(
    {
      name: 'put_nodes',
      text: `INSERT INTO nodes (id, hostname, ip, version, config_hash, sync_status, last_seen, updated_at, expires_at,
          labels, cert_details, serial, reason, description, health, control_plane, node_key, certificate_key, history)
        SELECT id, hostname, ip, version, config_hash, sync_status, now(), now(), now() + make_interval(secs => ttl),
          labels, cert_details, serial, reason, description, health, $2::uuid, node_key, certificate_key,
          CASE WHEN step IS NULL THEN '[]'::jsonb
            ELSE jsonb_build_array(step || jsonb_build_object('at', extract(epoch FROM now()))) END
        FROM jsonb_to_recordset($1::jsonb) AS given (id uuid, hostname text, ip text, version text, config_hash text,
          sync_status text, ttl double precision, labels jsonb, cert_details jsonb, serial bigint, reason text,
          description jsonb, health jsonb, node_key text, certificate_key text, step jsonb)
        ON CONFLICT (id) DO UPDATE SET hostname = EXCLUDED.hostname, ip = EXCLUDED.ip, version = EXCLUDED.version,
          config_hash = EXCLUDED.config_hash, sync_status = EXCLUDED.sync_status, last_seen = EXCLUDED.last_seen,
          updated_at = EXCLUDED.updated_at, expires_at = EXCLUDED.expires_at, labels = EXCLUDED.labels,
          cert_details = EXCLUDED.cert_details, serial = EXCLUDED.serial, reason = EXCLUDED.reason,
          description = EXCLUDED.description, health = EXCLUDED.health, control_plane = EXCLUDED.control_plane,
          node_key = EXCLUDED.node_key, certificate_key = EXCLUDED.certificate_key,
          history = CASE WHEN nodes.expires_at <= now() THEN EXCLUDED.history
            WHEN EXCLUDED.history = '[]' OR nodes.history -> 0 @> ((EXCLUDED.history -> 0) - 'at') THEN nodes.history
            ELSE (EXCLUDED.history || nodes.history) - ${MOST_STEPS} END
        WHERE nodes.expires_at <= now() OR coalesce(nodes.node_key, nodes.certificate_key) IS NULL
          OR (nodes.node_key IS NOT DISTINCT FROM EXCLUDED.node_key
            AND nodes.certificate_key IS NOT DISTINCT FROM EXCLUDED.certificate_key)
        RETURNING id`,
    },
    [JSON.stringify(given), controlPlane],
  );
  return idsOf(rows);
}

function idsOf(rows: readonly SqlRow[]): ReadonlySet<string> {
  return new Set(rows.map(({ id }) => String(id)));
}

function toNode(row: SqlRow): NodeRecord {
  return {
    ...toSummary(row),
    description: recordOrEmpty(row.description),
    health: recordOrEmpty(row.health),
    history: (Array.isArray(row.history) ? row.history : []).flatMap(toStep),
  };
}

/** What a report says of the config last written, without its time; null: nothing yet. */
function stepOf({ serial, config_hash, sync_status, reason, description }: NodeReport): Omit<NodeStep, 'at'> | null {
  const step = { serial: null, config_hash: null, reason: null };
  if (reason !== null) {
    const cut = reason.slice(0, MOST_REASON).toWellFormed();
    if (description.rejected !== true) return { ...step, change: 'withheld', reason: cut };
    const refused = typeof description.refused === 'number' ? description.refused : null;
    return { ...step, change: 'rejected', serial: refused, reason: cut };
  }
  const isApplied = serial !== null && sync_status === 'normal';
  return isApplied ? { ...step, change: 'applied', serial, config_hash } : null;
}

function toStep(value: unknown): NodeStep[] {
  if (!isRecord(value)) return [];
  const change = (['applied', 'rejected', 'withheld'] as const).find((one) => one === value.change);
  if (change === undefined) return [];
  const { at, serial, config_hash: hash, reason } = value;
  return [
    {
      at: Number(at),
      change,
      serial: typeof serial === 'number' ? serial : null,
      config_hash: nullableText(hash),
      reason: nullableText(reason),
    },
  ];
}

function toSummary(row: SqlRow): NodeSummary {
  return {
    id: String(row.id),
    hostname: String(row.hostname),
    ip: String(row.ip),
    version: String(row.version),
    config_hash: nullableText(row.config_hash),
    sync_status: String(row.sync_status),
    last_seen: Number(row.last_seen),
    updated_at: Number(row.updated_at),
    ttl: Number(row.ttl),
    labels: recordOrEmpty(row.labels),
    cert_details: recordOrEmpty(row.cert_details),
    serial: row.serial === null ? null : Number(row.serial),
    load_ms: typeof row.load_ms === 'number' ? row.load_ms : null,
    reason: nullableText(row.reason),
    group: nullableText(row.node_group),
    capabilities: Array.isArray(row.capabilities) ? row.capabilities.map(String) : [],
    connected: row.connected === true,
    keys: keysOf(row),
    refused_claim: isRecord(row.refused_claim) ? row.refused_claim : null,
  };
}

function keysOf({ node_key, certificate_key }: SqlRow): NodeKeys {
  return { node: nullableText(node_key), certificate: nullableText(certificate_key) };
}

function nullableText(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
