import type { Catalog } from './catalog.ts';
import { identifier, type Session } from './database.ts';
import { pageSize, pageToken, readPageToken } from './page-token.ts';
import { alive } from './statements.ts';
import type { TagPage, TagQuery } from './store.ts';

/**
 * Which rows carry which tags, read from the rows themselves: writes keep no second list. Every table contributes at most
 * a page, found by its key or its tag index.
 */
export async function listTags(
  catalog: Catalog,
  session: Session,
  workspace: string,
  query: TagQuery,
): Promise<TagPage> {
  const size = pageSize(query.size);
  if (query.tag?.includes('\0')) return { tags: [] };
  const after = query.offset === undefined ? null : readPageToken(query.offset, 3, (member) => !member.includes('\0'));
  const tables = [...catalog.tables.values()].filter(({ columns }) =>
    columns.some(({ field, type }) => field === 'tags' && type === 'text[]'),
  );
  const parts = tables.map((table) => {
    const key = `t.${identifier(table.key)}::text`;
    const conditions = [
      table.workspaced ? `t."ws_id" = $1::uuid` : '$1::uuid IS NOT NULL',
      `($2::text IS NULL OR t."tags" @> ARRAY[$2::text])`,
      `($3::text IS NULL OR ${key} >= $3)`,
    ];
    // What is not asked for goes before the page is cut: one row may carry more tags than a page has.
    return `(SELECT entity_name, entity_id, tag
      FROM (SELECT '${table.name}' AS entity_name, ${key} AS entity_id, unnest(t."tags") AS tag
        FROM ${identifier(table.name)} AS t WHERE ${conditions.join(' AND ')}${alive(table)}) AS own
      WHERE ($2::text IS NULL OR tag = $2)
        AND ($3::text IS NULL OR (entity_id, entity_name, tag) > ($3, $4::text, $5::text))
      ORDER BY entity_id, tag LIMIT $6::integer)`;
  });
  if (parts.length === 0) return { tags: [] };
  const rows = await session.query(
    {
      name: 'list_tags',
      text: `SELECT entity_name, entity_id, tag FROM (${parts.join(' UNION ALL ')}) AS carried
        ORDER BY entity_id, entity_name, tag LIMIT $6::integer`,
    },
    [workspace, query.tag ?? null, after?.[0] ?? null, after?.[1] ?? null, after?.[2] ?? null, size + 1],
  );
  const tags = rows.slice(0, size).map((row) => ({
    entity_name: String(row.entity_name),
    entity_id: String(row.entity_id),
    tag: String(row.tag),
  }));
  const last = tags.at(-1);
  if (rows.length <= size || last === undefined) return { tags };
  return { tags, offset: pageToken([last.entity_id, last.entity_name, last.tag]) };
}
