import type { Row } from '../../../shared/record.ts';
import { KongError } from '../../../shared/schema/errors.ts';
import type { Workspace } from '../../store/store.ts';
import { schemaOf } from '../entity/catalog.ts';
import { rowKey } from '../entity/key.ts';
import { message, Refusal } from '../reply.ts';
import { type Call, param } from '../route.ts';

/** A membership joins a consumer and a group; either may be where one looks from. */
export type Side = 'consumer' | 'consumer_group';

/** The entity on each side. */
export const ENTITY = { consumer: 'consumers', consumer_group: 'consumer_groups' } as const;

/** The entity memberships are kept in. */
export const MEMBERSHIPS = 'consumer_group_consumers';

const other = (side: Side): Side => (side === 'consumer' ? 'consumer_group' : 'consumer');

type Found = Row & { id: string };

async function find(workspace: Workspace, side: Side, name: string): Promise<Found> {
  const entity = ENTITY[side];
  const row = await workspace.entity(entity).select(rowKey(schemaOf(entity), name));
  if (typeof row?.id === 'string') return { ...row, id: row.id };
  throw new Refusal(message(404, `${side === 'consumer' ? 'Consumer' : 'Group'} '${name}' not found`));
}

/** The row a path names. Throws a `Refusal` with 404 when there is none. */
export const named = (call: Call, side: Side): Promise<Found> => find(call.workspace, side, param(call, ENTITY[side]));

/** One page of the rows on the other side of `row`'s memberships. */
export async function membersOf(call: Call, side: Side, row: Found, query: { size?: number; offset?: string } = {}) {
  const page = await call.workspace.entity(MEMBERSHIPS).page({ ...query, parent: { field: side, id: row.id } });
  const ids = page.rows.flatMap(({ [other(side)]: reference }) =>
    typeof reference === 'object' && reference !== null && 'id' in reference ? [String(reference.id)] : [],
  );
  return { ...page, rows: await call.workspace.entity(ENTITY[other(side)]).selectMany(ids) };
}

/** All rows on the other side of `row`'s memberships. */
export async function allMembersOf(call: Call, side: Side, row: Found): Promise<Row[]> {
  const members: Row[] = [];
  let offset: string | undefined;
  do {
    const page = await membersOf(call, side, row, { size: 1000, ...(offset === undefined ? {} : { offset }) });
    members.push(...page.rows);
    offset = page.offset;
  } while (offset !== undefined);
  return members;
}

/** The id of the membership that joins two rows, or null. */
export async function membershipOf(workspace: Workspace, group: Found, consumer: Found): Promise<string | null> {
  const memberships = workspace.entity(MEMBERSHIPS);
  let page = await memberships.page({ size: 1000, parent: { field: 'consumer', id: consumer.id } });
  for (;;) {
    for (const { id, consumer_group: reference } of page.rows) {
      const joined =
        typeof reference === 'object' && reference !== null && 'id' in reference && reference.id === group.id;
      if (joined && typeof id === 'string') return id;
    }
    if (page.offset === undefined) return null;
    page = await memberships.page({ size: 1000, offset: page.offset, parent: { field: 'consumer', id: consumer.id } });
  }
}

/** Makes all memberships or none, and returns the rows on `side`. Throws a `Refusal`, or code 5 for one there is already. */
export async function join(
  call: Call,
  side: Side,
  sent: unknown,
  pair: (member: Found) => readonly [group: Found, consumer: Found],
): Promise<Found[]> {
  const names = (Array.isArray(sent) ? sent : [sent]).filter((name) => typeof name === 'string' && name !== '');
  if (names.length === 0 || (Array.isArray(sent) && names.length !== sent.length)) {
    const field = side === 'consumer' ? 'consumer' : 'group';
    throw new Refusal(message(400, `must provide ${field}: the id or name of one, or a list of them`));
  }
  return call.workspace.transaction(async (inside) => {
    const members: Found[] = [];
    for (const name of names) {
      const member = await find(inside, side, name);
      const [group, consumer] = pair(member);
      if ((await membershipOf(inside, group, consumer)) !== null) {
        throw new KongError(5, `Consumer '${shown(consumer)}' already in group '${shown(group)}'`);
      }
      await inside.entity(MEMBERSHIPS).insert({
        consumer_group: { id: group.id },
        consumer: { id: consumer.id },
      });
      members.push(member);
    }
    return members;
  });
}

const shown = (row: Found): string => String(row.name ?? row.username ?? row.id);

/** Ends all memberships of a row, in one transaction. */
export async function leaveAll(workspace: Workspace, side: Side, { id }: Found): Promise<void> {
  await workspace.transaction(async (inside) => {
    const memberships = inside.entity(MEMBERSHIPS);
    for (;;) {
      const { rows } = await memberships.page({ size: 1000, parent: { field: side, id } });
      if (rows.length === 0) return;
      await memberships.deleteMany(rows.map((row) => String(row.id)));
    }
  });
}
