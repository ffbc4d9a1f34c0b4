/**
 * `node test/bench/replay.ts [--shapes N] [--routes N]`: what it takes in this process, apart from the planes around it, to tell which of many
 * requests would meet something else in a config of many routes, 10 of which are others: processor time of compiling both, and of
 * comparing. What `replay_sample` costs the requests it is taken from: `workers/request-path.ts`, and with sockets `npm run bench -- --only nodes`.
 */
import { parseArgs } from 'node:util';
import { parseConfig } from '../../cp/declarative/import.ts';
import { packConfig } from '../../cp/declarative/pack.ts';
import { luaModules } from '../../cp/lua/modules.ts';
import { readRequestList } from '../../cp/replay/requests.ts';
import { catalogOf } from '../../cp/store/catalog.ts';
import { schemasFor } from '../../cp/store/schemas.ts';
import { replayConfigs } from '../../edge-dp/hosts/replay-configs.ts';
import { provideLua } from '../../shared/lua/provided.ts';
import { machine } from './cores.ts';

const { values } = parseArgs({
  options: { shapes: { type: 'string', default: '100000' }, routes: { type: 'string', default: '10000' } },
});
const [shapes, routes] = [Number(values.shapes), Number(values.routes)];
const OTHERS = 10;

provideLua(luaModules);
const schemas = schemasFor('traditional_compatible');

/** `others`: how many of its routes go to another service. */
async function config(others: number) {
  const document = {
    _format_version: '3.0',
    services: [
      { name: 'one', url: 'http://one.internal' },
      { name: 'two', url: 'http://two.internal' },
    ],
    routes: Array.from({ length: routes }, (_, n) => ({
      name: `route-${n}`,
      hosts: [`api-${n % 100}.example.com`],
      paths: [`/service-${n}/v1`],
      service: n < others ? 'two' : 'one',
    })),
  };
  return packConfig(await parseConfig(document, catalogOf(schemas).context, schemas.entities));
}

const requests = readRequestList(
  Array.from({ length: shapes }, (_, n) => ({
    host: `api-${(n % routes) % 100}.example.com`,
    path: `/service-${n % routes}/v1/things/${n}`,
  })),
).shapes;
const common = {
  before: await config(0),
  after: await config(OTHERS),
  list: 100,
  routerFlavor: 'traditional_compatible',
  own: [],
} as const;

/** Seconds of processor time, and of the clock. */
async function timed(some: typeof requests) {
  const [before, start] = [process.cpuUsage(), performance.now()];
  const { changed } = await replayConfigs({ ...common, requests: some });
  const { user, system } = process.cpuUsage(before);
  return { changed, processor: (user + system) / 1e6, clock: (performance.now() - start) / 1000 };
}

// The first one brings the code, too.
await timed(requests.slice(0, 1));
const alone = await timed(requests.slice(0, 1));
const all = await timed(requests);
const expected = requests.filter((_, n) => n % routes < OTHERS).length;
if (all.changed !== expected) throw new Error(`${all.changed} requests were found to differ, of ${expected}`);
const seconds = (value: number): number => Math.round(value * 100) / 100;
process.stdout.write(
  `${JSON.stringify(
    {
      machine: machine(),
      shapes,
      routes,
      compiling_s: seconds(alone.processor),
      comparing_s: seconds(all.processor - alone.processor),
      clock_s: seconds(all.clock),
    },
    null,
    2,
  )}\n`,
);
