import { createHash } from 'node:crypto';
import type { BundleRow, Manifest } from '../../shared/bundle/format.ts';
import { exportYaml } from '../../shared/declarative/export.ts';
import { entity as entitySchema } from '../../shared/entities/registry.ts';
import { isRecord, type Row } from '../../shared/record.ts';
import { WITH_PROTO } from '../protobuf/travelling-proto.ts';
import { hashedFields } from '../publisher/travel.ts';
import type { StoredRelease, Workspace } from '../store/store.ts';
import { nameOf, type ReadObject, rowsIn } from './diff.ts';

/** Rows read at a time. */
const ROWS = 500;

/**
 * What a release had in a workspace, as a declarative document in YAML. Of secrets that travel as digests (API keys, secrets of OAuth 2.0
 * clients) it has those that are stored still; a row whose secret is gone cannot be made again, and a comment names it.
 */
export async function releaseDocument(
  { id, group, serial, content }: Pick<StoredRelease, 'id' | 'group' | 'serial' | 'content'>,
  workspace: Workspace,
  read: ReadObject,
): Promise<string> {
  const lost: string[] = [];
  let document = '';
  for await (const text of exportYaml((name) => storedRows(name, content, { workspace, read, lost }))) document += text;
  const head = [`release ${id} of group '${group}', serial ${serial}`, ...lost.map((one) => `left out: ${one}`)];
  return `${head.map((line) => `# ${line}\n`).join('')}${document}`;
}

interface Reading {
  readonly workspace: Workspace;
  readonly read: ReadObject;
  readonly lost: string[];
}

async function* storedRows(entity: string, content: Manifest, { workspace, read, lost }: Reading): AsyncIterable<Row> {
  const schema = entitySchema(entity);
  if (schema?.bundle === undefined || content.tables[entity] === undefined) return;
  const hashed = hashedFields(schema.bundle);
  const now = Math.floor(Date.now() / 1000);
  const rows = [...(await rowsIn(content, entity, read)).values()]
    .filter((row) => schema.workspaceable !== true || row.ws_id === workspace.id)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  for (let start = 0; start < rows.length; start += ROWS) {
    const some = rows.slice(start, start + ROWS);
    const ids = some.filter((row) => hashed.length > 0 || hasProto(entity, row)).map((row) => row.id);
    const there = new Map(
      (ids.length === 0 ? [] : await workspace.entity(entity).selectMany(ids)).map((row) => [row.id, row]),
    );
    for (const { ws_id: _, ...row } of some) {
      const stored = there.get(row.id);
      const unless = schema.bundle.mode === 'lazy' ? schema.bundle.unless : undefined;
      const digests = unless !== undefined && row[unless] === true ? [] : hashed;
      const whole = hasProto(entity, row) ? withProtoOf(row, stored) : withSecretsOf(row, digests, stored);
      if (whole === null)
        lost.push(`${entity} ${nameOf(row) ?? row.id}: ${digests.join(', ') || 'config.proto'} is not kept`);
      else if (typeof whole.ttl !== 'number' || whole.ttl > now) yield whole;
    }
  }
}

/** Null: its digests are of other secrets than the stored row has. */
function withSecretsOf(row: BundleRow, fields: readonly string[], stored: Row | undefined): Row | null {
  const whole: Row = { ...row };
  for (const field of fields) {
    const digest = row[field];
    if (typeof digest !== 'string') continue;
    const secret = stored?.[field];
    if (typeof secret !== 'string' || createHash('sha256').update(secret, 'utf8').digest('hex') !== digest) return null;
    whole[field] = secret;
  }
  return whole;
}

/** What a `.proto` file said travels in the place of its name. */
const hasProto = (entity: string, { name, config }: Readonly<Row>): boolean =>
  entity === 'plugins' && WITH_PROTO.has(name) && isRecord(config) && isRecord(config.proto);

function withProtoOf(row: BundleRow, stored: Row | undefined): Row | null {
  const proto = isRecord(stored?.config) ? stored.config.proto : undefined;
  return typeof proto === 'string' && isRecord(row.config) ? { ...row, config: { ...row.config, proto } } : null;
}
