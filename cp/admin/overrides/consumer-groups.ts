import { rowTag } from '../../store/row-tag.ts';
import { schemaOf } from '../entity/catalog.ts';
import { rowKey } from '../entity/key.ts';
import { pageBody, pageBounds, pageParameters } from '../entity/page.ts';
import { type JsonSchema, objectOf, pageOf, rowOf } from '../openapi/description.ts';
import { created, noContent, notFound, ok } from '../reply.ts';
import { argument } from '../request/body.ts';
import { type AdminRoute, type Operation, param } from '../route.ts';
import {
  allMembersOf,
  ENTITY,
  join,
  leaveAll,
  MEMBERSHIPS,
  membershipOf,
  membersOf,
  named,
  type Side,
} from './memberships.ts';

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
    const tag = { ETag: rowTag(row) };
    if (call.query.get('list_consumers') === 'false') return ok({ consumer_group: row }, tag);
    // All of them: clients that compare what is there with what should be take the list for complete.
    const members = await allMembersOf(call, 'consumer_group', { ...row, id: row.id });
    return ok({ consumer_group: row, consumers: members }, tag);
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
    await call.workspace.entity(MEMBERSHIPS).delete({ id });
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
      await leaveAll(call.workspace, side, await named(call, side));
      return noContent;
    },
  };
}
