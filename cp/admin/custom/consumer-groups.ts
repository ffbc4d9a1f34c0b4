import { KongError } from '../../../shared/schema/errors.ts';
import type { Row, Workspace } from '../../store/store.ts';
import { schemaOf } from '../entity/catalog.ts';
import { rowKey } from '../entity/key.ts';
import { pageBody, pageBounds, pageParameters } from '../entity/page.ts';
import { type JsonSchema, objectOf, pageOf, rowOf } from '../openapi/description.ts';
import { created, message, noContent, notFound, ok, Refusal } from '../reply.ts';
import { argument } from '../request/body.ts';
import { type AdminRoute, type Call, type Operation, param } from '../route.ts';

/**
 * Consumer groups and their members, in the shape of Kong Enterprise 3.9. The groups' own collection is generated;
 * what stands here is the single group with its members, and membership seen from either side.
 */
export function consumerGroupRoutes(): AdminRoute[] {
  const group = '/consumer_groups/{consumer_groups}';
  const consumer = '/consumers/{consumers}';
  return [
    { path: group, methods: { GET: readGroup } },
    {
      path: `${group}/consumers`,
      methods: { GET: listMembers, POST: addMembers, DELETE: removeAll('consumer_group') },
    },
    { path: `${group}/consumers/{consumers}`, methods: { GET: readMember('consumer'), DELETE: removeOne } },
    {
      path: `${consumer}/consumer_groups`,
      methods: { GET: listGroups, POST: joinGroups, DELETE: removeAll('consumer') },
    },
    {
      path: `${consumer}/consumer_groups/{consumer_groups}`,
      methods: { GET: readMember('consumer_group'), DELETE: removeOne },
    },
  ];
}

type Side = 'consumer' | 'consumer_group';
const ENTITY = { consumer: 'consumers', consumer_group: 'consumer_groups' } as const;
const other = (side: Side): Side => (side === 'consumer' ? 'consumer_group' : 'consumer');

type Found = Row & { id: string };

async function find(workspace: Workspace, side: Side, name: string): Promise<Found> {
  const entity = ENTITY[side];
  const row = await workspace.entity(entity).select(rowKey(schemaOf(entity), name));
  if (typeof row?.id === 'string') return { ...row, id: row.id };
  throw new Refusal(message(404, `${side === 'consumer' ? 'Consumer' : 'Group'} '${name}' not found`));
}

const named = (call: Call, side: Side): Promise<Found> => find(call.workspace, side, param(call, ENTITY[side]));

/** One page of the rows on the other side of `row`'s memberships. */
async function membersOf(call: Call, side: Side, row: Found, query: { size?: number; offset?: string } = {}) {
  const page = await call.workspace
    .entity('consumer_group_consumers')
    .page({ ...query, parent: { field: side, id: row.id } });
  const ids = page.rows.flatMap(({ [other(side)]: reference }) =>
    typeof reference === 'object' && reference !== null && 'id' in reference ? [String(reference.id)] : [],
  );
  return { ...page, rows: await call.workspace.entity(ENTITY[other(side)]).selectMany(ids) };
}

async function allMembersOf(call: Call, side: Side, row: Found): Promise<Row[]> {
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
async function membershipOf(workspace: Workspace, group: Found, consumer: Found): Promise<string | null> {
  const memberships = workspace.entity('consumer_group_consumers');
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

const consumers: JsonSchema = { type: 'array', items: rowOf('consumers') };
const groups: JsonSchema = { type: 'array', items: rowOf('consumer_groups') };

const readGroup: Operation = {
  describe: {
    summary: 'Read a consumer group with its members',
    tag: 'consumer_groups',
    query: [{ name: 'list_consumers', description: '`false`: without the members.', schema: { type: 'string' } }],
    success: {
      status: 200,
      schema: {
        type: 'object',
        properties: { consumer_group: rowOf('consumer_groups'), consumers },
        required: ['consumer_group'],
      },
    },
    errors: [404],
  },
  async handle(call) {
    const schema = schemaOf('consumer_groups');
    const row = await call.workspace.entity(schema.name).select(rowKey(schema, param(call, schema.name)));
    if (typeof row?.id !== 'string') return notFound;
    if (call.query.get('list_consumers') === 'false') return ok({ consumer_group: row });
    // All of them: clients that compare what is there with what should be take the list for complete.
    const members = await allMembersOf(call, 'consumer_group', { ...row, id: row.id });
    return ok({ consumer_group: row, consumers: members });
  },
};

const listMembers: Operation = {
  describe: {
    summary: 'List the members of a consumer group',
    tag: 'consumer_groups',
    query: pageParameters,
    success: { status: 200, schema: pageOf(rowOf('consumers')) },
    errors: [400, 404],
  },
  async handle(call) {
    const group = await named(call, 'consumer_group');
    const page = await membersOf(call, 'consumer_group', group, pageBounds(call.query));
    return ok(pageBody(page, `/consumer_groups/${encodeURIComponent(param(call, 'consumer_groups'))}/consumers`));
  },
};

/** Enterprise answers this list under its own name; `data` and `next` are what its other lists have. */
const listGroups: Operation = {
  describe: {
    summary: 'List the groups of a consumer',
    tag: 'consumer_groups',
    query: pageParameters,
    success: {
      status: 200,
      schema: { allOf: [pageOf(rowOf('consumer_groups')), objectOf({ consumer_groups: groups })] },
    },
    errors: [400, 404],
  },
  async handle(call) {
    const consumer = await named(call, 'consumer');
    const page = await membersOf(call, 'consumer', consumer, pageBounds(call.query));
    const path = `/consumers/${encodeURIComponent(param(call, 'consumers'))}/consumer_groups`;
    return ok({ ...pageBody(page, path), consumer_groups: page.rows });
  },
};

const addMembers: Operation = {
  describe: {
    summary: 'Add one consumer or several to a group',
    tag: 'consumer_groups',
    body: { required: true, schema: membershipBody('consumer', 'Consumers, by id or username.') },
    success: { status: 201, schema: objectOf({ consumer_group: rowOf('consumer_groups'), consumers }) },
    errors: [400, 404, 409],
  },
  async handle(call) {
    const group = await named(call, 'consumer_group');
    const added = await join(call, 'consumer', argument(call.body, 'consumer'), (member) => [group, member]);
    return created({ consumer_group: group, consumers: added });
  },
};

const joinGroups: Operation = {
  describe: {
    summary: 'Add a consumer to one group or several',
    tag: 'consumer_groups',
    body: { required: true, schema: membershipBody('group', 'Groups, by id or name.') },
    success: { status: 201, schema: objectOf({ consumer: rowOf('consumers'), consumer_groups: groups }) },
    errors: [400, 404, 409],
  },
  async handle(call) {
    const consumer = await named(call, 'consumer');
    const added = await join(call, 'consumer_group', argument(call.body, 'group'), (group) => [group, consumer]);
    return created({ consumer, consumer_groups: added });
  },
};

function membershipBody(field: string, description: string): JsonSchema {
  const name = { type: 'string' };
  return {
    ...objectOf({ [field]: { oneOf: [name, { type: 'array', items: name }], description } }),
    additionalProperties: false,
  };
}

/** Makes all memberships or none, and returns the rows on `side`. */
async function join(
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
      await inside.entity('consumer_group_consumers').insert({
        consumer_group: { id: group.id },
        consumer: { id: consumer.id },
      });
      members.push(member);
    }
    return members;
  });
}

const shown = (row: Found): string => String(row.name ?? row.username ?? row.id);

/** The row on `side` of one membership. */
function readMember(side: Side): Operation {
  return {
    describe: {
      summary: side === 'consumer' ? 'Read a member of a group' : 'Read a group of a consumer',
      tag: 'consumer_groups',
      success: { status: 200, schema: objectOf({ [side]: rowOf(ENTITY[side]) }) },
      errors: [404],
    },
    async handle(call) {
      const group = await named(call, 'consumer_group');
      const consumer = await named(call, 'consumer');
      if ((await membershipOf(call.workspace, group, consumer)) === null) return notFound;
      return ok({ [side]: side === 'consumer' ? consumer : group });
    },
  };
}

const removeOne: Operation = {
  describe: {
    summary: 'Take a consumer out of a group',
    tag: 'consumer_groups',
    success: { status: 204 },
    errors: [404],
  },
  async handle(call) {
    const group = await named(call, 'consumer_group');
    const consumer = await named(call, 'consumer');
    const id = await membershipOf(call.workspace, group, consumer);
    if (id === null) return notFound;
    await call.workspace.entity('consumer_group_consumers').delete({ id });
    return noContent;
  },
};

function removeAll(side: Side): Operation {
  return {
    describe: {
      summary: side === 'consumer' ? 'Take a consumer out of all groups' : 'Take all members out of a group',
      tag: 'consumer_groups',
      success: { status: 204 },
      errors: [404],
    },
    async handle(call) {
      const { id } = await named(call, side);
      await call.workspace.transaction(async (inside) => {
        const memberships = inside.entity('consumer_group_consumers');
        for (;;) {
          const { rows } = await memberships.page({ size: 1000, parent: { field: side, id } });
          if (rows.length === 0) return;
          await memberships.deleteMany(rows.map((row) => String(row.id)));
        }
      });
      return noContent;
    },
  };
}
