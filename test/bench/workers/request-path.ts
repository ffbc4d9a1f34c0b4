/**
 * `node test/bench/workers/request-path.ts`: processor time of a request in the request path alone, without sockets, of several kinds of it in one
 * process, in turns so short that they share the machine's good and bad times. What differs from the first is what remembering
 * requests (`replay_sample`) and having two configs at a time cost: the second kind is the first once more, and tells how far the rest can be believed.
 */
import { splitPath } from '../../../edge-dp/config/split-path.ts';
import { FetchRequest } from '../../../edge-dp/http/fetch/request.ts';
import { createRequestPath } from '../../../edge-dp/proxy/create.ts';
import type { Arrival, ServedPath } from '../../../edge-dp/proxy/request-path.ts';
import type { BundleRow } from '../../../shared/bundle/format.ts';
import { PROXY_SETTINGS } from '../../edge-dp/proxy-settings.ts';

/** Of Node, which this is run by. */
declare const process: {
  readonly argv: readonly string[];
  cpuUsage(): { readonly user: number; readonly system: number };
};

const ROUTES = 1_000;
const REQUESTS = 500;
const WARMING = 40;
const ROUNDS = Number(process.argv[2] ?? 400);
const RELEASE = '5b1cf0de-58bd-4aa0-9d4c-3f38cf0a4a3c';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const nowhere = (): never => {
  throw new Error('nothing is sent');
};

/** Every route is answered by the gateway itself. */
function rows(): ReadonlyMap<string, { readonly upserts: readonly BundleRow[]; readonly deletes: readonly string[] }> {
  const routes = Array.from({ length: ROUTES }, (_, n) => ({
    id: id(n),
    name: `route-${n}`,
    paths: [`/api-${n}`],
    protocols: ['http', 'https'],
    service: null,
  }));
  const config = { status_code: 200, content_type: 'text/plain', body: 'ok' };
  const plugins = [{ id: id(ROUTES), name: 'request-termination', config }];
  return new Map([
    ['routes', { upserts: routes, deletes: [] }],
    ['plugins', { upserts: plugins, deletes: [] }],
  ]);
}

function path(sample: number | null) {
  const settings = {
    ...PROXY_SETTINGS,
    ports: { http: 80, https: null },
    ...(sample !== null && { replaySample: { size: sample, headers: [] } }),
  };
  const node = { fetch: async () => new Response(null, { status: 204 }), connect: nowhere };
  const made = createRequestPath({ settings, network: { fetch: nowhere, connect: nowhere }, node }).update(rows());
  made.settle();
  return made;
}

const split = {
  ...{ release: RELEASE, percent: 50, by: 'client_ip' as const, serial: 2, rest_serial: 1 },
  ...{ config_hash: '', tables: {} },
};
const plain = path(null);
const trial = { split, path: plain.update(new Map()), lazy: { lookupAll: () => [] } };
const kinds: readonly (readonly [name: string, path: ServedPath])[] = [
  ['replay_sample off', plain],
  ['the same once more', path(null)],
  ['replay_sample 1,000', path(1_000)],
  ['replay_sample 10,000', path(10_000)],
  ['two configs, split by client_ip', splitPath(plain, trial)],
];

const arrival: Arrival = {
  peerIp: '203.0.113.7',
  peerPort: 40_000,
  localIp: null,
  localPort: 8000,
  scheme: 'http',
  sni: null,
  tls: null,
  edge: null,
  waitUntil: () => undefined,
};
const headers = { host: 'api.example.com', accept: '*/*', 'user-agent': 'bench', 'content-type': 'application/json' };
const requests = Array.from(
  { length: REQUESTS },
  (_, n) => new Request(`http://api.example.com/api-${(n * 7) % ROUTES}/things/${n}`, { headers }),
);

/** Microseconds of processor time for one request. */
async function turn(served: ServedPath): Promise<number> {
  const before = process.cpuUsage();
  for (const request of requests) {
    const incoming = new FetchRequest(request, { version: '1.1', ownConnections: true });
    const answer = await served.handle(incoming, arrival, { lookupAll: () => [] }, 1);
    if (answer.status !== 200) throw new Error(`answered ${answer.status}`);
  }
  const { user, system } = process.cpuUsage();
  return (user - before.user + system - before.system) / REQUESTS;
}

const seen = kinds.map((): number[] => []);
for (let round = -WARMING; round < ROUNDS; round++) {
  // Each is as often the first as any other.
  for (let n = 0; n < kinds.length; n++) {
    const place = (n + round + WARMING) % kinds.length;
    const kind = kinds[place];
    if (kind === undefined) continue;
    const micros = await turn(kind[1]);
    if (round >= 0) seen[place]?.push(micros);
  }
}
const quartile = (of: readonly number[]) => of.toSorted((a, b) => a - b)[Math.floor(of.length / 4)] ?? Number.NaN;
const [first = Number.NaN] = seen.map(quartile);
for (const [place, [name]] of kinds.entries()) {
  const micros = quartile(seen[place] ?? []);
  console.log(`${name.padEnd(34)} ${micros.toFixed(2).padStart(7)} µs a request  ${(micros / first).toFixed(3)}`);
}
