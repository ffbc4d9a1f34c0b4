import * as errors from '../../../shared/schema/errors.ts';
import { isUuid } from '../../../shared/uuid.ts';
import { schemaOf } from '../entity/catalog.ts';
import { tagged } from '../entity/conditional.ts';
import { rowKey } from '../entity/key.ts';
import { nestedRoutes } from '../entity/nested.ts';
import { topLevelRoutes } from '../entity/top-level.ts';
import { message, Refusal } from '../reply.ts';
import { argument, withArgument } from '../request/body.ts';
import { type AdminRoute, type Call, mapOperations, type Operation, param } from '../route.ts';

/**
 * Certificates are reached by id or by any of their SNI names. PUT by an unknown name makes the certificate and the
 * SNI; PUT without `snis` takes all SNIs away; a missing one answers Kong's code 6 instead of the plain 404.
 */
export function certificateRoutes(): AdminRoute[] {
  const certificates = schemaOf('certificates');
  const generated = [
    ...topLevelRoutes(certificates),
    ...nestedRoutes({ child: schemaOf('snis'), field: 'certificate', parent: certificates }),
  ];
  const bySni = generated.filter(({ path }) => path.startsWith('/certificates/{certificates}')).map(resolvingSnis);
  const [single, ...nested] = bySni;
  if (single === undefined) return [];
  return [
    { ...single, methods: { ...single.methods, ...(single.methods.GET && { GET: read(single.methods.GET) }) } },
    ...nested,
    { path: '/snis/{snis}/certificate', methods: {}, disabled: true },
  ];
}

function resolvingSnis(route: AdminRoute): AdminRoute {
  return mapOperations(route, (operation) => ({
    ...operation,
    async handle(call) {
      const resolved = await resolveSni(call);
      try {
        return await operation.handle(resolved);
      } catch (error) {
        // Another PUT of the same name may have made its certificate meanwhile.
        const anew = call.method === 'PUT' && error instanceof errors.KongError ? await resolveSni(call) : resolved;
        const meant = (one: Call) => param(one, 'certificates');
        if (meant(anew) === meant(resolved) || !(await isThere(anew))) throw error;
        return operation.handle(anew);
      }
    },
  }));
}

async function isThere(call: Call): Promise<boolean> {
  return (await call.workspace.entity('certificates').select({ id: param(call, 'certificates') })) !== null;
}

function read(operation: Operation): Operation {
  return {
    describe: operation.describe,
    async handle(call) {
      const id = param(await resolveSni(call), 'certificates');
      const row = await call.workspace.entity('certificates').select({ id });
      if (row === null) throw errors.notFound({ id });
      return tagged(row);
    },
  };
}

/** The same call with the certificate's id in its path and, for PUT, the list of SNIs the row is to have. */
async function resolveSni(call: Call): Promise<Call> {
  const name = param(call, 'certificates');
  if (isUuid(name)) return withSnis(call, name, null);
  const sni = await call.workspace.entity('snis').select(rowKey(schemaOf('snis'), name));
  const reference = sni?.certificate;
  if (typeof reference === 'object' && reference !== null && 'id' in reference) {
    return withSnis(call, String(reference.id), name);
  }
  if (call.method !== 'PUT' || 'snis' in call.params) throw new Refusal(message(404, 'SNI not found'));
  return withSnis(call, crypto.randomUUID(), name);
}

function withSnis(call: Call, id: string, name: string | null): Call {
  const params = { ...call.params, certificates: id };
  if (call.method !== 'PUT' || 'snis' in call.params) return { ...call, params };
  const given = argument(call.body, 'snis');
  if (given === undefined)
    return { ...call, params, body: withArgument(call.body, 'snis', name === null ? [] : [name]) };
  const listed: unknown[] = Array.isArray(given) ? given : [given];
  if (name === null || given === null || given === '' || !listed.every(isText)) return { ...call, params };
  if (listed.some((one) => one.toLowerCase() === name.toLowerCase())) return { ...call, params };
  return { ...call, params, body: withArgument(call.body, 'snis', [...listed, name]) };
}

const isText = (value: unknown): value is string => typeof value === 'string';
