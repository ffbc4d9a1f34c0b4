import { admin, type ClusterFolder, type RunningDataPlane, until } from '../e2e/processes.ts';
import { freePorts } from '../free-port.ts';
import { alternate, figuresOf, type Measured } from './compare.ts';
import { pin } from './cores.ts';
import { load } from './processes.ts';

/** Data planes of other settings than the one that all else is measured on. The first is what the others are to be compared with. */
export const NODE_SCENARIOS = [
  'nodes: one process',
  'nodes: proxy_access_log on',
  'nodes: two processes',
  'nodes: replay_sample off',
  'nodes: published by releases',
  'nodes: split by client_ip',
] as const;

const WARMING = 3;

interface How {
  readonly host: string;
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
}

/**
 * The same route on each of them. All share one core, but for the load: what two processes are worth on two is twice what a request costs
 * with one process, divided by what it costs with two.
 */
export async function measureNodes(
  { cluster, adminUrl }: { readonly cluster: ClusterFolder; readonly adminUrl: string },
  path: string,
  how: How,
): Promise<Measured[]> {
  const { connections, seconds, rounds } = how;
  const settings: readonly Readonly<Record<string, string>>[] = [
    {},
    { proxy_access_log: '/dev/null' },
    { nginx_worker_processes: '2' },
    { replay_sample: '0' },
    { cluster_dp_labels: 'bench:staged' },
    { cluster_dp_labels: 'bench:split' },
  ];
  for (const name of ['staged', 'split']) {
    await admin(`${adminUrl}/groups`, 'POST', { name, labels: `bench = ${name}`, publish: 'release' });
  }
  const planes: RunningDataPlane[] = [];
  try {
    const turns = [];
    for (const [place, own] of settings.entries()) {
      const [port = 0] = await freePorts(1);
      const listen = { data_plane_host: how.host, proxy_listen: `127.0.0.1:${port}`, proxy_access_log: 'off' };
      const plane = await cluster.dataPlane(`bench-${place}`, { ...listen, ...own });
      planes.push(plane);
      await until(() => answers(`http://127.0.0.1:${port}${path}`), `${NODE_SCENARIOS[place]} to serve`, 60_000);
      if (own.cluster_dp_labels === 'bench:split') await splitRequests(adminUrl, path, plane);
      pin(plane.child.pid, 0);
      await load(port, path, { connections, seconds: WARMING });
      const name = NODE_SCENARIOS[place] ?? '';
      turns.push({ name, pid: plane.child.pid, load: () => load(port, path, { connections, seconds }) });
    }
    const measured = await alternate('nodes', turns, rounds);
    return NODE_SCENARIOS.map((scenario, place) => ({ scenario, ...figuresOf(measured[place] ?? []), rivals: {} }));
  } finally {
    await Promise.all(planes.map((plane) => plane.end('SIGTERM')));
  }
}

/** A release for half of the clients, which is the same for the path that is measured. */
async function splitRequests(adminUrl: string, path: string, plane: RunningDataPlane): Promise<void> {
  await admin(`${adminUrl}/routes`, 'POST', { paths: [`${path}-pending`] });
  const strategy = [{ traffic: { percent: 50, by: 'client_ip' }, hold: 86_400 }];
  await admin(`${adminUrl}/releases`, 'POST', { group: 'split', strategy });
  const splits = async () => 'configuration_split' in (await admin(`${plane.status}/status`));
  await until(splits, 'the release to be tried', 60_000);
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ status }) => status === 200,
    () => false,
  );
}
