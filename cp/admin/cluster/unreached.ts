import { type Needed, withholds } from '../../../shared/cluster/compatibility.ts';
import { requirements } from '../../../shared/cluster/requirements.ts';
import { isRecord, type Row, recordOrEmpty } from '../../../shared/record.ts';
import type { Reply } from '../reply.ts';
import { type AdminRoute, mapOperations } from '../route.ts';
import type { ClusterView } from './cluster-view.ts';

/** In the answer to a write that is committed and does not reach every data plane: which it does not reach, and why. */
export const WITHHELD = 'X-Holdfast-Withheld';

/** Characters of that header. */
const LONGEST = 2_000;

/** Has every write among `routes` say in its answer when it does not reach every data plane. */
export function tellUnreached(routes: readonly AdminRoute[], cluster: ClusterView | null): readonly AdminRoute[] {
  if (cluster === null) return routes;
  return routes.map((route) =>
    mapOperations(route, (operation) => ({
      describe: { ...operation.describe, tellsUnreached: true },
      async handle(call) {
        const reply = await operation.handle(call);
        if (call.method === 'GET' || reply.status >= 300) return reply;
        const words = await cluster.unreached(neededBy(route, reply));
        return words === null ? reply : { ...reply, headers: { ...reply.headers, [WITHHELD]: asHeader(words) } };
      },
    })),
  );
}

/** What the plugins and certificates ask of data planes that a write configured, as its answer shows them. */
function neededBy({ path }: AdminRoute, { body }: Reply): Needed {
  const plugins = written('plugins', path, body).filter(({ enabled }) => enabled !== false);
  const needs = [
    ...plugins.flatMap((row) => requirements('plugins', row)),
    ...written('certificates', path, body).flatMap((row) => requirements('certificates', row)),
  ];
  return {
    plugins: [...new Set(plugins.map(({ name }) => String(name)))],
    capabilities: [...new Set(needs.map(({ capability }) => capability).filter(withholds))],
  };
}

function written(table: string, path: string, body: unknown): readonly Row[] {
  let rows: readonly unknown[] = [];
  if (path === '/config') rows = Object.values(recordOrEmpty(recordOrEmpty(body)[table]));
  else if (path.endsWith(`/${table}`) || path.endsWith(`/${table}/{${table}}`)) rows = [body];
  return rows.filter(isRecord);
}

/** Host names of data planes may be anything; a header's value is printable ASCII here. */
function asHeader(words: string): string {
  const printable = words.replace(/[^\x20-\x7e]+/g, '?');
  return printable.length > LONGEST ? `${printable.slice(0, LONGEST)}...` : printable;
}
