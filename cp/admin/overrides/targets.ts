import { isTarget } from '../../../shared/entities/targets.ts';
import type { Row } from '../../../shared/record.ts';
import { schemaViolation } from '../../../shared/schema/errors.ts';
import { isUuid } from '../../../shared/uuid.ts';
import type { Page } from '../../store/store.ts';
import { schemaOf } from '../entity/catalog.ts';
import { expectation, tagged } from '../entity/conditional.ts';
import { readInput } from '../entity/input.ts';
import type { Reference } from '../entity/names.ts';
import { create, parentOf } from '../entity/nested.ts';
import { pageBody, pageBounds, pageParameters } from '../entity/page.ts';
import { inputOf, pageOf, patchOf, rowOf } from '../openapi/description.ts';
import { noContent, notFound, ok, Refusal } from '../reply.ts';
import { type AdminRoute, type Call, type Operation, param } from '../route.ts';

/** Targets are reached through their upstream only, newest first, by id or by `host:port`. */
export function targetRoutes(): AdminRoute[] {
  const single = '/upstreams/{upstreams}/targets/{targets}';
  return [
    { path: '/targets', methods: {}, disabled: true },
    { path: '/targets/{targets}', methods: {}, disabled: true },
    { path: '/targets/{targets}/upstream', methods: {}, disabled: true },
    { path: '/upstreams/{upstreams}/targets', methods: { GET: list, POST: add() } },
    { path: '/upstreams/{upstreams}/targets/all', methods: { GET: listRaw } },
    { path: single, methods: { GET: read, PUT: write('PUT'), PATCH: write('PATCH'), DELETE: remove } },
  ];
}

export const ofUpstream = (): Reference => ({
  child: schemaOf('targets'),
  field: 'upstream',
  parent: schemaOf('upstreams'),
});

/** One page of an upstream's targets, newest first. */
export async function newestTargets(call: Call): Promise<Page> {
  const { id } = await parentOf(call, ofUpstream());
  return call.workspace
    .entity('targets')
    .page({ ...pageBounds(call.query), parent: { field: 'upstream', id }, order: 'newest' });
}

/** The target a path names, of the upstream the path names. Throws `Refusal` 404 when there is none. */
export async function targetOf(call: Call): Promise<Row & { id: string }> {
  const upstream = await parentOf(call, ofUpstream());
  const name = param(call, 'targets');
  const targets = call.workspace.entity('targets');
  const row = isUuid(name)
    ? await targets.select({ id: name })
    : await targets
        .page({ parent: { field: 'upstream', id: upstream.id }, where: { field: 'target', value: name } })
        .then((page) => page.rows[0] ?? null);
  const owner = row?.upstream;
  const id = row?.id;
  const owned = typeof owner === 'object' && owner !== null && 'id' in owner && owner.id === upstream.id;
  if (row === null || typeof id !== 'string' || !owned) throw new Refusal(notFound);
  return { ...row, id };
}

const list: Operation = {
  describe: {
    summary: 'List the targets of an upstream, newest first',
    tag: 'targets',
    query: pageParameters,
    success: { status: 200, schema: pageOf(rowOf('targets')) },
    errors: [400, 404],
  },
  async handle(call) {
    return ok(
      pageBody(await newestTargets(call), `/upstreams/${encodeURIComponent(param(call, 'upstreams'))}/targets`),
    );
  },
};

/** Kong looks at a new target's address before anything else, and then does not repeat it in the error. */
function add(): Operation {
  const generated = create(ofUpstream());
  return {
    ...generated,
    async handle(call) {
      await parentOf(call, ofUpstream());
      const { target } = await readInput(call, schemaOf('targets'));
      if (typeof target === 'string' && !isTarget(target)) {
        throw schemaViolation({ target: 'Invalid target; not a valid hostname or ip address' });
      }
      return generated.handle(call);
    },
  };
}

const listRaw: Operation = {
  describe: {
    summary: 'List the targets of an upstream as they are stored, ordered by id',
    tag: 'targets',
    query: pageParameters,
    success: { status: 200, schema: pageOf(rowOf('targets')) },
    errors: [400, 404],
  },
  async handle(call) {
    const { id } = await parentOf(call, ofUpstream());
    const page = await call.workspace
      .entity('targets')
      .page({ ...pageBounds(call.query), parent: { field: 'upstream', id } });
    return ok(pageBody(page, `/upstreams/${encodeURIComponent(param(call, 'upstreams'))}/targets/all`));
  },
};

const read: Operation = {
  describe: {
    summary: 'Read a target',
    tag: 'targets',
    success: { status: 200, schema: rowOf('targets') },
    errors: [404],
  },
  async handle(call) {
    return tagged(await targetOf(call));
  },
};

/** Kong's PUT on a target changes one that exists, as PATCH does, and creates none. */
const write = (method: 'PUT' | 'PATCH'): Operation => ({
  describe: {
    summary: method === 'PUT' ? 'Change a target that exists' : 'Change fields of a target',
    tag: 'targets',
    body: { required: false, schema: method === 'PUT' ? inputOf('targets') : patchOf('targets') },
    success: { status: 200, schema: rowOf('targets') },
    errors: [400, 404, 409, 412],
  },
  async handle(call) {
    const { id } = await targetOf(call);
    const input = await readInput(call, schemaOf('targets'));
    return tagged(await call.workspace.entity('targets').update({ id }, input, expectation(call)));
  },
});

const remove: Operation = {
  describe: { summary: 'Delete a target', tag: 'targets', success: { status: 204 }, errors: [404, 412] },
  async handle(call) {
    const { id } = await targetOf(call);
    await call.workspace.entity('targets').delete({ id }, expectation(call));
    return noContent;
  },
};
