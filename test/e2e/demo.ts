/**
 * `npm run demo`: the promise of two planes, played with real processes. Exits non-zero when a step is not as told.
 */
import { createServer } from 'node:http';

import { admin, createCluster, type RunningDataPlane, until } from './processes.ts';

const started = performance.now();

function tell(line: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(5);
  process.stdout.write(`${seconds} s  ${line}\n`);
}

function insist(condition: boolean, expected: string): void {
  if (!condition) throw new Error(`not as told: expected ${expected}`);
}

async function call(plane: RunningDataPlane, path: string, key?: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${plane.proxy}${path}`, key === undefined ? {} : { headers: { apikey: key } });
  return { status: response.status, text: await response.text() };
}

/** Whether both were heard of after a time in Unix seconds: what was said before is in the database still. */
async function bothConnected(adminUrl: string, since: number): Promise<boolean> {
  const { data } = await admin(`${adminUrl}/clustering/data-planes`);
  const nodes = Array.isArray(data) ? data : [];
  return nodes.filter((node) => node.last_seen > since).length === 2;
}

const upstream = createServer((request, response) => {
  response.end(
    `upstream saw ${request.method} ${request.url} for ${request.headers['x-consumer-username'] ?? 'nobody'}`,
  );
});
await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
const upstreamAddress = upstream.address();
const upstreamPort = typeof upstreamAddress === 'object' ? upstreamAddress?.port : undefined;

const cluster = await createCluster();
const running: { end(signal: NodeJS.Signals): Promise<unknown> }[] = [];
try {
  tell(`an upstream listens on port ${upstreamPort}; certificates and signing key are made`);
  let control = await cluster.controlPlane();
  running.push(control);
  tell(`the control plane runs (pid ${control.child.pid}), Admin API ${control.admin}`);
  const onNode = { data_plane_host: 'node' };
  const [one, firstTwo] = await Promise.all([cluster.dataPlane('dp-1'), cluster.dataPlane('dp-2', onNode)]);
  let two = firstTwo;
  running.push(one, two);
  tell(
    `two data planes run, on workerd and on Node (pids ${one.child.pid}, ${two.child.pid}): ${one.proxy}, ${two.proxy}`,
  );

  await admin(`${control.admin}/services`, 'POST', { name: 'hello', url: `http://127.0.0.1:${upstreamPort}` });
  await admin(`${control.admin}/services/hello/routes`, 'POST', { name: 'hello', paths: ['/hello'] });
  await admin(`${control.admin}/services/hello/plugins`, 'POST', { name: 'key-auth' });
  await admin(`${control.admin}/consumers`, 'POST', { username: 'ada' });
  await admin(`${control.admin}/consumers/ada/key-auth`, 'POST', { key: 'open-sesame' });
  tell('a service, a route, the key-auth plugin, the consumer ada and her key are created');

  for (const plane of [one, two]) {
    // Each write may arrive by itself: until the plugin does, everyone is let through as nobody.
    const knowsAda = async () => (await call(plane, '/hello', 'open-sesame')).text.endsWith('for ada');
    await until(knowsAda, 'the upstream to see ada');
    const refused = await call(plane, '/hello');
    insist(refused.status === 401, `401 without a key, not ${refused.status}`);
  }
  tell('both data planes serve it: 401 without the key, 200 with it');

  await control.end('SIGKILL');
  const killed = Math.ceil(Date.now() / 1000);
  tell('the control plane is killed (SIGKILL)');
  for (let round = 0; round < 100; round++) {
    for (const plane of [one, two]) {
      const { status } = await call(plane, '/hello', 'open-sesame');
      insist(status === 200, `200 while the control plane is down, not ${status}`);
    }
  }
  tell('200 more calls through both: none failed');

  await two.end('SIGTERM');
  two = await cluster.dataPlane('dp-2', onNode);
  running.push(two);
  const cached = await call(two, '/hello', 'open-sesame');
  insist(cached.status === 200, `200 from the cache after a restart, not ${cached.status}`);
  tell('data plane 2 was restarted meanwhile: it serves from its cache');

  control = await cluster.controlPlane();
  running.push(control);
  tell('the control plane is back');
  await until(() => bothConnected(control.admin, killed), 'both data planes to be connected again');
  tell('both data planes have connected again');

  const [path, before] = ['/changed', performance.now()];
  await admin(`${control.admin}/routes/hello`, 'PATCH', { paths: ['/hello', path] });
  const written = performance.now();
  const arrivals = await Promise.all(
    [one, two].map(async (plane) => {
      await until(async () => (await call(plane, path, 'open-sesame')).status === 200, 'the change to arrive');
      return performance.now() - written;
    }),
  );
  tell(
    `a changed route was written in ${(written - before).toFixed(0)} ms and served by both data planes ` +
      `${arrivals.map((ms) => ms.toFixed(0)).join(' and ')} ms later`,
  );
  tell('the holdfast held.');
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`\n${error instanceof Error ? error.message : error}\n`);
} finally {
  await Promise.all(running.map((process) => process.end('SIGTERM')));
  upstream.close();
  cluster.remove();
}
