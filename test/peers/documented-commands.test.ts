import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { isRecord, recordOrEmpty } from '../../shared/record.ts';
import { blocksOf, linesOf, PAGES, ROOT } from '../documented-blocks.ts';
import { freshPrefix } from '../embedded-database.ts';
import { findPostgres, type PostgresBinaries } from '../postgres-binaries.ts';
import { type Ended, type Going, type Machine, startMachine } from './machine.ts';
import { peerExecutable } from './peer.ts';

/**
 * Runs the shell blocks of README and docs as they stand there: each page in the order it is read, on a machine of its own, with its ports and
 * names. `pages` says what its reader has at hand, and of a command what is to be known beyond that it exits with 0, and that
 * curl is answered 2xx or what the comment behind it says.
 */
interface Page {
  /** Hosts that the machine is to itself, beyond those that all pages have. */
  readonly names?: Readonly<Record<string, string>>;
  readonly begin?: (reader: Reader) => Promise<void>;
  readonly commands?: readonly Command[];
}

interface Command {
  /** How it begins, or what it has in it. */
  readonly of: string | RegExp;
  /** Why it does not run here. */
  readonly cannot?: string;
  readonly before?: (reader: Reader) => Promise<unknown>;
  /** What is behind the command beyond what the page has, or stands for what only its reader can know. */
  readonly as?: (command: string, reader: Reader) => string | Promise<string>;
  /** It goes on, and has said this when its reader goes on as well. */
  readonly goesOn?: RegExp;
  readonly exits?: number;
  readonly folder?: string;
  readonly after?: (output: string, reader: Reader) => unknown;
}

const ACCOUNT = 'takes an account of Cloudflare; test/e2e/edge.test.ts deploys to a simulated one';
const REGISTRY = 'takes packages from the registry; test/peers/clean-room.test.ts installs and starts what npm packs';
const DOCKER =
  'takes a Docker daemon; test/packaging/container.test.ts runs the steps of the image and of the compose file';
const CLUSTER = 'takes a cluster of Kubernetes; test/peers/helm.test.ts holds the chart to its schemas';
const DECK = 'test/peers/deck.test.ts runs decK against the same Admin API';

/** Its reader is root there. */
const SUDO = `#!/bin/sh
if [ "$1" = -u ]; then user=$2; shift 2; exec setpriv --reuid="$user" --regid="$user" --clear-groups "$@"; fi
exec "$@"`;

/** There is no systemd: what a unit says of its user, its folders, its variables and its command is done as it says. */
const SYSTEMCTL = `#!/bin/bash
action=$1 unit=\${@: -1}
[ $action = daemon-reload ] && exit
says() { sed -n "s/^$1=//p" "/etc/systemd/system/$unit.service" | head -n 1; }
end() {
  read -r pid < /run/$unit.pid && kill $pid && while kill -0 $pid 2> /dev/null; do sleep 0.1; done
  rm /run/$unit.pid
}
begin() {
  for folder in $(says StateDirectory); do install -d -o $(says User) -g $(says Group) -m $(says StateDirectoryMode) /var/lib/$folder; done
  variables=$(says EnvironmentFile) capabilities=$(says AmbientCapabilities)
  [ -e "\${variables#-}" ] && . <(sed 's/^/export /' "\${variables#-}")
  capabilities=\${capabilities/CAP_/+} capabilities=\${capabilities,,}
  umask $(says UMask)
  setsid setpriv --reuid=$(says User) --regid=$(says Group) --clear-groups \${capabilities:+--inh-caps=$capabilities --ambient-caps=$capabilities} \\
    $(says ExecStart) > /run/$unit.log 2>&1 < /dev/null &
  echo $! > /run/$unit.pid
}
case $action in
  start | enable) begin ;;
  stop) end ;;
  restart) end && begin ;;
  reload) setpriv --reuid=$(says User) --regid=$(says Group) --clear-groups $(says ExecReload) ;;
  *) exit 1 ;;
esac`;

const READY = /^Holdfast .* is ready/m;
/** Milliseconds for a page. */
const PATIENCE = 900_000;
const NAMES = { 'cp.example.com': '127.0.0.1', 'db.example.com': '127.0.0.1', 'cp-1.example.com': '127.0.0.1' };

let template: string;
let postgres: PostgresBinaries;

beforeAll(async () => {
  template = await freshPrefix('migrated');
  postgres = findPostgres(template);
  for (const peer of ['curl', 'openssl', 'psql', 'pg_dump', 'pg_restore'] as const) peerExecutable(peer);
});
afterAll(() => rmSync(template, { recursive: true, force: true }));

class Reader {
  readonly machine: Machine;
  readonly environment: Record<string, string> = {};
  readonly going: Going[] = [];

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** What the page has its reader do, or have, in words. */
  async does(command: string, folder = ROOT): Promise<Ended> {
    const ended = await this.machine.run(command, { folder, environment: this.environment });
    if (ended.code !== 0) throw new Error(`${command}\n${ended.output}`);
    return ended;
  }

  async writes(path: string, text: string): Promise<void> {
    await this.does(`mkdir -p "$(dirname ${path})" && cat > ${path} <<'END OF FILE'\n${text}\nEND OF FILE`);
  }

  async starts(command: string, said: RegExp, folder = ROOT): Promise<Going> {
    const going = await this.machine.start(command, said, { folder, environment: this.environment });
    this.going.push(going);
    return going;
  }

  async ends(): Promise<void> {
    for (const going of this.going.splice(0).toReversed()) await going.stop();
  }

  async asks(path: string, method = 'GET', body?: unknown): Promise<Record<string, unknown>> {
    const data = body === undefined ? '' : ` -H 'content-type: application/json' -d '${JSON.stringify(body)}'`;
    const { stdout } = await this.does(`curl -sf -X ${method} 'http://127.0.0.1:8001${path}'${data}`);
    return stdout === '' ? {} : recordOrEmpty(JSON.parse(stdout));
  }

  /** Both planes, with a database at hand. */
  async product(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.does(`mkdir -p .holdfast && cp -a '${template}/pgdata' .holdfast/`);
    const given = Object.entries(settings).map(([name, value]) => `HOLDFAST_${name.toUpperCase()}='${value}'`);
    await this.starts([...given, 'holdfast start'].join(' '), READY);
  }

  /** A server of PostgreSQL with the database and the user `holdfast`. */
  async database(address = '127.0.0.1', within = ''): Promise<void> {
    const data = '/run/postgres/data';
    const { folder, user } = postgres;
    const owner = user === undefined ? '' : ` && chown ${user.uid}:${user.gid} /run/postgres`;
    await this.does(`mkdir /run/postgres${owner}`);
    const init = `'${folder}/initdb' --pgdata ${data} --username holdfast --auth trust --encoding UTF8 --locale C --no-sync`;
    const made = await this.machine.run(init, { user, folder: '/run/postgres' });
    if (made.code !== 0) throw new Error(made.output);
    await this.does(`echo 'host all all 10.0.0.0/8 trust' >> ${data}/pg_hba.conf`);
    const who = user === undefined ? '' : `setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups `;
    const server = `${within}${who}'${folder}/postgres' -D ${data} -c listen_addresses=${address} -c unix_socket_directories=`;
    await this.starts(server, /ready to accept/, '/run/postgres');
    await this.does(`psql -h ${address} -U holdfast -d postgres -c 'CREATE DATABASE holdfast'`);
  }

  /** The keys of docs/install.md, by the names that the units' settings have for them. */
  async bringsKeys(): Promise<void> {
    const to = '/etc/holdfast/keys';
    await this.does(`cp keys/ca.crt keys/bundle-signing.key keys/bundle-keys.json ${to}/`);
    for (const [name, plane] of [
      ['cp.example.com', 'control-plane'],
      ['dp-1', 'data-plane'],
    ] as const)
      for (const kind of ['crt', 'key']) await this.does(`cp keys/${name}.${kind} ${to}/${plane}.${kind}`);
    await this.does(
      `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=gateway -keyout ${to}/proxy.key -out ${to}/proxy.crt`,
    );
    await this.does(`chgrp holdfast ${to}/* && chmod 0640 ${to}/*`);
    await this.writes('/etc/holdfast/control-plane.env', 'PG_PASSWORD=secret');
  }

  /** As by docs/install.md, of which this is no test. */
  async installs(...planes: readonly string[]): Promise<void> {
    const shell = blocksOf('docs/install.md')
      .filter(({ language }) => language === 'sh')
      .map(({ text: lines }) => lines);
    for (const lines of shell.slice(1, 3)) await this.does(lines);
    await this.bringsKeys();
    await this.does(
      'sudo -u holdfast env PG_PASSWORD=secret holdfast migrations bootstrap --conf /etc/holdfast/control-plane.conf',
    );
    for (const plane of planes) {
      await this.does(`cp packaging/systemd/${plane}.conf /etc/holdfast/ && systemctl enable --now holdfast-${plane}`);
      const port = plane === 'data-plane' ? 8100 : 8007;
      await this.does(`curl --retry 120 --retry-delay 1 --retry-all-errors -fsS http://127.0.0.1:${port}/status/ready`);
    }
  }
}

/** Faults where `actual` has not the form of what a page shows. Names that are ids or times stand for others of their kind. */
function unlike(shown: unknown, actual: unknown, at = ''): string[] {
  if (Array.isArray(shown)) {
    if (!Array.isArray(actual)) return [`${at}: no list`];
    return shown.length === 0 || actual.length === 0 ? [] : unlike(shown[0], actual[0], `${at}[0]`);
  }
  if (isRecord(shown)) {
    if (!isRecord(actual)) return [`${at}: no object`];
    const names = Object.keys(shown);
    if (names.length > 0 && names.every((name) => /^(?:\d+|[0-9a-f]{8}-.*)$/.test(name)))
      return unlike(Object.values(shown).slice(0, 1), Object.values(actual).slice(0, 1), at);
    return names.flatMap((name) =>
      Object.hasOwn(actual, name) ? unlike(shown[name], actual[name], `${at}.${name}`) : [`${at}: no ${name}`],
    );
  }
  return shown === null || actual === null || typeof shown === typeof actual ? [] : [`${at}: ${typeof actual}`];
}

const blockOf = (page: string, language: string, index = 0) =>
  blocksOf(page).filter((block) => block.language === language)[index]?.text ?? expect.fail(`${page}: no block`);

let written = 0;

/** Something that waits to be released. */
const writes = (reader: Reader) => reader.asks(`/routes/later-${++written}`, 'PUT', { paths: [`/later-${written}`] });

const releases = async (reader: Reader) => {
  const { data } = await reader.asks('/releases?group=eu');
  return (Array.isArray(data) ? data : []).map(recordOrEmpty);
};

/** The page's id is one that its reader has from the Admin API. */
async function withRelease(command: string, reader: Reader): Promise<string> {
  const earlier = (await releases(reader)).find(({ state }) => state === 'replaced');
  return command.replace(/[0-9a-f]{8}-\S{27}/, String(earlier?.id));
}

/** Nobody waits for rings to have had their time. */
async function promoted(_: string, reader: Reader): Promise<void> {
  const watch = reader.going.pop();
  for (;;) {
    const [latest] = await releases(reader);
    if (latest?.state === 'live') break;
    await reader.machine.run(`curl -s -X POST http://127.0.0.1:8001/releases/${latest?.id}/promote`);
  }
  await expect.poll(() => watch?.ended()).toBe(true);
  expect(watch?.said()).toMatch(/live/);
}

const pages: Readonly<Record<string, Page>> = {
  'README.md': {
    commands: [
      { of: 'npm install && npm start', goesOn: READY },
      { of: 'npm install && npm test', cannot: 'is what .ci/run runs' },
      { of: 'npm install /tmp/', cannot: REGISTRY },
      { of: 'npx --no holdfast config init', before: (reader) => reader.ends() },
      { of: 'npx --no holdfast dev', goesOn: READY, after: (_, reader) => reader.ends() },
      {
        of: 'HOLDFAST_ROLE=control_plane',
        goesOn: READY,
      },
      {
        of: 'HOLDFAST_ROLE=data_plane',
        before: (reader) =>
          reader.does('mkdir -p dp/keys && cp keys/cluster.crt keys/cluster.key keys/bundle-keys.json dp/keys/'),
        folder: join(ROOT, 'dp'),
        goesOn: /link to the control plane is up/,
        after: (_, reader) => reader.ends(),
      },
      { of: 'npx --no holdfast hybrid gen_ca', before: (reader) => reader.does('rm -r keys') },
    ],
  },
  'docs/custom-plugins.md': {
    async begin(reader) {
      await reader.product();
      const document = blockOf('docs/custom-plugins.md', 'yaml');
      await reader.writes('kong.yml', document);
      await reader.does('holdfast config import kong.yml');
      await reader.asks('/services/my-service/plugins').then(({ data }) => expect(data).toHaveLength(1));
      // What the page shows in the document is what it has in files.
      const [, schema = '', handler = ''] = /schema: \|\n(.*?) {4}handler: \|\n(.*?)^services/ms.exec(document) ?? [];
      const { data } = await reader.asks('/plugins');
      for (const row of Array.isArray(data) ? data : [])
        await reader.asks(`/plugins/${recordOrEmpty(row).id}`, 'DELETE');
      await reader.asks('/custom-plugins/my-plugin', 'DELETE');
      await reader.writes('my-plugin/schema.lua', schema);
      await reader.writes('my-plugin/handler.lua', handler);
    },
  },
  'docs/development.md': {
    commands: [
      {
        of: 'npx --no holdfast dev kong.yml --wrangler',
        before: (reader) => reader.ends(),
        goesOn: READY,
      },
      {
        of: 'npx --no holdfast dev',
        goesOn: READY,
        async after(output) {
          const shown = blockOf('docs/development.md', '').trimEnd().split('\n');
          const said = output.split('\n').map((line) => line.replaceAll(ROOT, '/home/ada/gateway/'));
          // All but the line of a request.
          for (const line of shown.slice(0, -1)) expect(said).toContain(line);
        },
      },
      { of: 'npx wrangler dev', goesOn: /Ready on/ },
    ],
  },
  'docs/events.md': {
    begin: (reader) => reader.product(),
    commands: [
      {
        of: 'curl -N',
        goesOn: /event: hello\ndata: .*\n\n/,
        async after(_, reader) {
          await reader.asks('/routes/shown', 'PUT', { paths: ['/shown'] });
          const stream = reader.going.at(-1);
          await expect.poll(() => stream?.said()).toMatch(/event: change\ndata: .*\n\n/);
          const events = (text: string) =>
            [...text.matchAll(/^id: (.*)\nevent: (hello|change)\ndata: (.*)$/gm)].map(
              ([, id = '', event, data = '']) => ({
                id: id.replaceAll(/[0-9a-f]+/g, '0'),
                event,
                data: JSON.parse(data),
              }),
            );
          const said = stream?.said() ?? '';
          expect(said).toMatch(/^retry: 2000\n/);
          const [shown, sent] = [events(blockOf('docs/events.md', '')), events(said)];
          for (const { id, event, data } of shown) {
            const one = sent.find((other) => other.event === event) ?? expect.fail(`no ${event}`);
            expect([one.id, unlike(data, one.data)]).toEqual([id, []]);
          }
        },
      },
    ],
  },
  'docs/backup.md': {
    async begin(reader) {
      await reader.database();
      await reader.installs('control-plane');
    },
    commands: [
      {
        of: 'npx --no holdfast config export',
        async before(reader) {
          await reader.does('systemctl stop holdfast-control-plane');
          await reader.product();
          await reader.asks('/routes/kept', 'PUT', { paths: ['/kept'] });
        },
      },
    ],
  },
  'docs/deploy-cloudflare.md': {
    names: { 'edge.cp.example.com': '203.0.113.7' },
    async begin(reader) {
      const letsencrypt = '/etc/letsencrypt/live/edge.cp.example.com';
      await reader.does('holdfast hybrid gen_ca --dir keys');
      await reader.does('holdfast hybrid issue --ca keys --role control_plane --name cp.example.com');
      await reader.does(
        `mkdir -p ${letsencrypt} && cd ${letsencrypt} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
          -subj /CN=edge.cp.example.com -addext subjectAltName=DNS:edge.cp.example.com -keyout privkey.pem -out fullchain.pem`,
      );
      // To this machine its own certificate is one of a public CA.
      reader.environment.NODE_EXTRA_CA_CERTS = `${letsencrypt}/fullchain.pem`;
      await reader.writes('holdfast.conf', blockOf('docs/deploy-cloudflare.md', 'ini'));
      await reader.product();
    },
    commands: [
      { of: /^npx wrangler (?:login|kv|cert)/, cannot: ACCOUNT },
      { of: /^openssl rand .* secret put/, cannot: ACCOUNT },
      { of: 'curl -H', cannot: ACCOUNT },
      { of: /^npx wrangler .* deploy$/, as: (command) => `${command} --dry-run` },
    ],
  },
  'docs/groups.md': {
    async begin(reader) {
      await reader.product();
      await reader.does('holdfast hybrid gen_ca --dir keys');
    },
  },
  'docs/install.md': {
    async begin() {
      for (const peer of ['kubectl', 'helm'] as const) peerExecutable(peer);
    },
    commands: [
      { of: 'sudo npm install --global', cannot: REGISTRY },
      {
        of: 'sudo systemctl daemon-reload',
        async before(reader) {
          await reader.database();
          await reader.bringsKeys();
        },
      },
      {
        of: 'sudo systemctl enable --now holdfast-data-plane',
        before: (reader) => reader.does('cp packaging/systemd/data-plane.conf /etc/holdfast/'),
        async after(_, reader) {
          await reader.does(
            'curl --retry 120 --retry-delay 1 --retry-all-errors -fsS http://127.0.0.1:8100/status/ready',
          );
          await reader.does('holdfast check --conf /etc/holdfast/data-plane.conf');
          await reader.does('sudo -u holdfast holdfast health --prefix /var/lib/holdfast/data-plane');
          await reader.does('sudo systemctl reload holdfast-data-plane');
        },
      },
      { of: 'docker', cannot: DOCKER },
      {
        of: 'kubectl create secret generic holdfast-control-plane',
        before: (reader) => reader.does('rm -r keys && holdfast hybrid gen_cert --dir keys'),
        as: (command) => `${command} --dry-run=client`,
      },
      { of: 'kubectl create', as: (command) => `${command} --dry-run=client` },
      // What would be installed: an installation asks the cluster first, also one that only shows.
      { of: 'helm install', as: (command) => `${command.replace('install', 'template')} --kube-version 1.33.0` },
      { of: 'kubectl port-forward', cannot: CLUSTER },
    ],
  },
  'docs/operations.md': {
    begin: async (reader) => void (await reader.does('holdfast config init kong.yml')),
    commands: [
      { of: 'HOLDFAST_DATABASE=off', goesOn: READY },
      { of: 'deck gateway sync', cannot: DECK },
    ],
  },
  'docs/plugin-development.md': {
    async begin(reader) {
      const [schema, handler] = [0, 1].map((index) => blockOf('docs/plugin-development.md', 'ts', index));
      await reader.writes('/etc/holdfast/plugins/teapot/schema.ts', schema ?? '');
      await reader.writes('/etc/holdfast/plugins/teapot/handler.ts', handler ?? '');
      await reader.writes('holdfast.conf', blockOf('docs/plugin-development.md', ''));
      await reader.product();
    },
    commands: [
      {
        of: 'curl -X POST',
        async after(_, reader) {
          await reader.asks('/services/pot', 'PUT', { url: 'http://127.0.0.1:8100' });
          await reader.asks('/services/pot/routes/pot', 'PUT', { paths: ['/pot'] });
          await reader.asks('/wait?timeout=60');
          const { stdout } = await reader.does("curl -s -H 'X-Cup: coffee' http://127.0.0.1:8000/pot/status");
          expect(stdout).toContain("I'm a teapot");
        },
      },
      { of: /npx wrangler deploy$/, as: (command) => `${command} --dry-run` },
    ],
  },
  'docs/releases.md': {
    async begin(reader) {
      const route = (name: string, path: string, host: string, to = '') =>
        `  - { name: ${name}, url: "http://${host}${to}", routes: [{ name: ${name}, paths: [${path}] }] }`;
      const document = (...services: string[]) => ['_format_version: "3.0"', 'services:', ...services, ''].join('\n');
      const rest = route('rest', '/rest', 'rest.internal');
      const [orders, health] = [
        route('orders', '/v2', 'orders.internal', '/v2'),
        route('health', '/health', 'health.internal'),
      ];
      const legacy = `  - { name: catch-all, url: "http://legacy.internal", routes: [{ name: catch-all, paths: [/v2] }] }`;
      await reader.writes('main.yml', document(rest, orders, health));
      await reader.writes('kong.yml', document(rest, legacy));
      const requests = (count: number, path: string) =>
        `yes '10.0.0.1 - - [29/Nov/2026:12:00:00 +0000] "GET ${path} HTTP/1.1" 200 12 "-" "curl/8.5.0"' | head -n ${count}`;
      const all = [requests(84, '/v2/orders'), requests(12, '/health'), requests(8412 - 96, '/rest/1')];
      await reader.does(`{ ${all.join('; ')}; } > access.log`);
      await reader.product({ cluster_dp_labels: 'region:eu,canary:yes' });
      await reader.does('holdfast config import main.yml');
      await reader.asks('/groups/eu', 'PUT', { labels: 'region = eu' });
      await reader.asks('/wait?timeout=60');
    },
    commands: [
      { of: 'deck gateway sync', cannot: DECK },
      { of: 'holdfast release pending', before: writes },
      { of: 'holdfast release create', before: writes, goesOn: /rolling|ring 1/, after: promoted },
      { of: 'holdfast release rollback', as: withRelease },
      {
        of: 'holdfast release replay --pending',
        async before(reader) {
          await writes(reader);
          await reader.does('for each in 1 2 3; do curl -s http://127.0.0.1:8000/rest/1 || true; done');
          // They are told half a second later.
          const asked = 'holdfast release replay --pending eu';
          await reader.does(`for each in $(seq 50); do ${asked} > /dev/null 2>&1 && break; sleep 0.2; done`);
        },
      },
      { of: 'holdfast release replay', as: withRelease },
      {
        of: 'holdfast config replay',
        exits: 3,
        after(output) {
          const [, ...shown] = blockOf('docs/releases.md', '').trimEnd().split('\n');
          expect(output.split('\n')).toEqual(expect.arrayContaining(shown));
          expect(output).toMatch(/^8412 requests, /m);
        },
      },
    ],
  },
  'docs/streams.md': {
    names: { 'db.internal': '10.0.0.7' },
    async begin(reader) {
      // The database is on another machine.
      await reader.does(
        'ip address del 10.0.0.7 dev lo && ip netns add db && ip link add db type veth peer name eth0 netns db',
      );
      await reader.does('ip address add 10.0.0.1/24 dev db && ip link set db up');
      await reader.does('ip -n db address add 10.0.0.7/24 dev eth0 && ip -n db link set eth0 up');
      await reader.database('10.0.0.7', 'ip netns exec db ');
      await reader.writes('holdfast.conf', blockOf('docs/streams.md', ''));
      await reader.product();
      Object.assign(reader.environment, { PGUSER: 'holdfast', PGDATABASE: 'holdfast' });
    },
    commands: [
      {
        of: 'psql',
        async before(reader) {
          await reader.asks('/plugins', 'POST', {
            name: 'file-log',
            protocols: ['tcp'],
            config: { path: '/tmp/sessions' },
          });
          await reader.asks('/wait?timeout=60');
        },
        async after(_, reader) {
          const logged = async () => (await reader.machine.run('cat /tmp/sessions')).stdout;
          await expect.poll(logged).toMatch(/\n/);
          const { session, ...shown } = recordOrEmpty(JSON.parse(blockOf('docs/streams.md', 'json')));
          const { tls: _tls, ...plain } = recordOrEmpty(session);
          expect(unlike({ ...shown, session: plain }, JSON.parse((await logged()).split('\n')[0] ?? ''))).toEqual([]);
        },
      },
    ],
  },
  'docs/telemetry.md': {
    names: { 'cp-2.example.com': '127.0.0.1' },
    async begin(reader) {
      const set = blocksOf('docs/telemetry.md')[0]?.text.matchAll(/^HOLDFAST_(\w+)=(.*)$/gm) ?? [];
      await reader.product(
        Object.fromEntries([...set].map(([, name = '', value = '']) => [name.toLowerCase(), value])),
      );
      await reader.asks('/services/orders', 'PUT', { url: 'http://127.0.0.1:8100' });
      await reader.asks('/services/orders/routes/orders', 'PUT', { paths: ['/orders'] });
      await reader.asks('/wait?timeout=60');
      await reader.does('curl -sf http://127.0.0.1:8000/orders/status');
    },
    commands: [
      {
        of: "curl 'http://127.0.0.1:8001/vitals/routes'",
        async before(reader) {
          const names = async () =>
            Object.values(recordOrEmpty(recordOrEmpty((await reader.asks('/vitals/routes')).meta).names));
          await expect.poll(names, { timeout: 60_000 }).toContain('orders');
        },
        after(output) {
          const shown: unknown = JSON.parse(blockOf('docs/telemetry.md', 'json'));
          expect(unlike(shown, JSON.parse(output.slice(0, output.lastIndexOf('}') + 1)))).toEqual([]);
        },
      },
    ],
  },
  'docs/testing.md': {
    async begin(reader) {
      await reader.writes(
        'kong.yml',
        [
          '_format_version: "3.0"',
          'services:',
          '- { name: orders, host: orders.internal, routes: [{ name: orders, paths: [/orders] }], plugins: [{ name: key-auth }] }',
          'consumers:',
          '- { username: ada, keyauth_credentials: [{ key: open-sesame }] }',
        ].join('\n'),
      );
      const told = 'console.log(answer.status, await answer.json(), entry.route.name);';
      const script = blockOf('docs/testing.md', 'js').replace('await gateway.stop', `${told}\n$&`);
      await reader.writes('shown.mjs', script);
      const { output } = await reader.does('node shown.mjs');
      expect(output).toBe("200 { by: 'ada' } orders\n");
    },
  },
  'docs/upgrade.md': {
    async begin(reader) {
      await reader.database();
      await reader.installs('control-plane', 'data-plane');
    },
  },
};

describe.each(PAGES.filter((page) => page in pages || blocksOf(page).some(({ language }) => language === 'sh')))(
  '%s',
  (name) => {
    it(
      'has commands that do what it says, one after the other',
      async () => {
        const { names = {}, begin, commands = [] } = pages[name] ?? {};
        const machine = await startMachine({ ...NAMES, ...names });
        const reader = new Reader(machine);
        Object.assign(reader.environment, { npm_config_offline: 'true', WRANGLER_SEND_METRICS: 'false', CI: 'true' });
        const unused = new Set(commands);
        try {
          await reader.does(`rm -rf .holdfast build keys edge`);
          await reader.writes(
            '/usr/local/bin/holdfast',
            `#!/bin/sh\nexec '${process.execPath}' '${ROOT}cp/holdfast.js' "$@"`,
          );
          await reader.writes('/root/.curlrc', 'no-progress-meter\nwrite-out = "%{stderr}\\nanswered %{http_code}\\n"');
          await reader.writes('/usr/local/bin/sudo', SUDO);
          await reader.writes('/usr/local/bin/systemctl', SYSTEMCTL);
          await reader.does('chmod +x /usr/local/bin/holdfast /usr/local/bin/sudo /usr/local/bin/systemctl');
          await begin?.(reader);
          for (const block of blocksOf(name)) {
            if (block.language !== 'sh') continue;
            for (const command of linesOf(block)) await follow(command);
          }
          expect(
            [...unused].map(({ of }) => of),
            'said of commands that the page has not',
          ).toEqual([]);
        } finally {
          await machine.stop();
        }

        async function follow(command: string): Promise<void> {
          const known = commands.find(({ of }) => (typeof of === 'string' ? command.startsWith(of) : of.test(command)));
          if (known !== undefined) unused.delete(known);
          const { cannot, before, as, goesOn, exits = 0, folder = ROOT, after } = known ?? {};
          if (cannot !== undefined) return;
          await before?.(reader);
          const run = (await as?.(command, reader)) ?? command;
          if (goesOn !== undefined) {
            const going = await reader.starts(run, goesOn, folder);
            await after?.(going.said(), reader);
            return;
          }
          const { code, output } = await machine.run(run, { folder, environment: reader.environment });
          expect(code, `${command}\n${output}`).toBe(exits);
          const [, status] = /#\s*(\d{3})\b/.exec(command) ?? [];
          for (const [, answered = ''] of output.matchAll(/^answered (\d+)$/gm))
            expect(answered, `${command}\n${output}`).toMatch(status ?? /^2\d\d$/);
          await after?.(output, reader);
        }
      },
      PATIENCE,
    );
  },
);
