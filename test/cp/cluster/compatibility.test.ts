import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clusterView } from '../../../cp/cluster/view.ts';
import { MemoryFeed } from '../publisher/memory-feed.ts';
import { type ControlPlane, hello, startControlPlane, TestLink, verify } from './control-plane.ts';

// The examples of Kong's documents: a control plane 2.5.2 with plugin1 1.1.1 and plugin2 2.1.0, of which a route has plugin1.
const VERSION = '2.5.2';
const PLUGINS = { plugin1: '1.1.1', plugin2: '2.1.0' };

let plane: ControlPlane;
beforeAll(async () => {
  const feed = new MemoryFeed();
  feed.put('plugins', { id: 'p1', name: 'plugin1', enabled: true, route: { id: 'r1' } });
  feed.put('routes', { id: 'r1', name: 'r1', paths: ['/r1'], service: null });
  plane = await startControlPlane({ feed, version: VERSION, plugins: PLUGINS });
  await plane.publisher.flush();
});
afterAll(() => plane?.stop());

interface DataPlane {
  readonly version?: string;
  readonly plugins?: Readonly<Record<string, string>>;
}

/** What becomes of such a data plane: what it is sent, its record once it has answered, and the warnings that are about it. */
async function becomesOf({ version = VERSION, plugins = PLUGINS }: DataPlane) {
  const id = crypto.randomUUID();
  const hostname = `edge-${id}`;
  const recorded = async () => {
    await plane.listener.nodes.flush();
    return (await clusterView(plane.registry, plane.listener).dataPlane(id)) ?? expect.fail(`no record of ${hostname}`);
  };
  const link = await TestLink.open(plane.port);
  try {
    link.say(hello({ id, hostname, version, plugins, capabilities: ['lua'] }));
    const { type, ...message } = await link.hearEither('manifest', 'withheld');
    if ('manifest' in message) {
      const { serial, config_hash } = await verify(message.manifest);
      link.say({ type: 'applied', serial, config_hash });
      await expect.poll(async () => (await recorded()).serial).toBe(serial);
    }
    const { sync_status, rejection_reason, config_hash, version: shown } = await recorded();
    expect(shown).toBe(version);
    expect(config_hash === '0'.repeat(32)).toBe(type === 'withheld');
    const warned = plane.log.filter((line) => line.startsWith('warn ') && line.includes(hostname));
    return {
      type,
      message,
      sync_status,
      rejection_reason,
      warned: warned.map((line) => line.replace(hostname, 'edge')),
    };
  } finally {
    link.socket.close();
  }
}

/** It is sent config, which it takes. */
async function accepts(node: DataPlane, ...warned: readonly string[]): Promise<void> {
  const { message: _, ...rest } = await becomesOf(node);
  expect(rest).toEqual({ type: 'manifest', sync_status: 'normal', rejection_reason: null, warned });
}

/** It is told why it is sent none, and so is whoever looks at its record or at the log. */
async function rejects(node: DataPlane, sync_status: string, reason: string, ...before: string[]): Promise<void> {
  expect(await becomesOf(node)).toEqual({
    type: 'withheld',
    message: { sync_status, reason },
    sync_status,
    rejection_reason: reason,
    warned: [
      ...before,
      `warn unable to send updated configuration to DP node with hostname: edge ip: 127.0.0.1 reason: ${reason}`,
    ],
  });
}

describe('a control plane 2.5.2', () => {
  test.each(['2.5.0', '2.5.1', '2.5.2', '2.5.3', '2.5.2-rc.1', '2.3.8', '2.2.1', '2.2.0'])(
    'sends config to a data plane %s',
    (version) => accepts({ version }),
  );

  test.each(['1.0.0', '2.6.0', '2.10.0', '3.5.2'])('sends none to a data plane %s', (version) =>
    rejects({ version }, 'kong_version_incompatible', `version mismatches, CP version: 2.5.2 DP version: ${version}`),
  );
});

describe('a control plane with plugin1 1.1.1, which a route has, and plugin2 2.1.0, which nothing has', () => {
  const lacks = (name: string) =>
    `warn DP node with hostname: edge ip: 127.0.0.1 lacks ${name}: config that uses any of them will not be sent to it`;
  const differs = (own: string) =>
    `plugin 'plugin1' is configured for version 1.1.1, but this data plane has version ${own}`;

  test.each<[string, Readonly<Record<string, string>>, readonly string[]]>([
    ['plugin1 1.1.2', { plugin1: '1.1.2' }, [lacks('plugin2')]],
    ['plugin1 1.1.2, plugin2 2.1.0 and plugin3 9.8.1', { plugin1: '1.1.2', plugin2: '2.1.0', plugin3: '9.8.1' }, []],
    ['plugin1 1.1.1 and plugin3 9.8.1', { plugin1: '1.1.1', plugin3: '9.8.1' }, [lacks('plugin2')]],
    ['plugin1 1.0.9 and plugin2 2.1.0', { plugin1: '1.0.9', plugin2: '2.1.0' }, []],
    ['plugin1 1.1.1 and plugin2 3.0.0', { plugin1: '1.1.1', plugin2: '3.0.0' }, []],
  ])('sends config to a data plane with %s', (_, plugins, warned) => accepts({ plugins }, ...warned));

  test.each<[string, Readonly<Record<string, string>>]>([
    ['1.2.0', { plugin1: '1.2.0', plugin2: '2.1.0' }],
    ['2.1.1', { plugin1: '2.1.1', plugin2: '2.1.0' }],
    ['0.1.1', { plugin1: '0.1.1', plugin2: '2.1.0' }],
  ])('sends none to a data plane with plugin1 %s', (own, plugins) =>
    rejects({ plugins }, 'plugin_version_incompatible', differs(own)),
  );

  test('sends none to a data plane without plugin1', () =>
    rejects(
      { plugins: { plugin2: '2.1.0' } },
      'plugin_set_incompatible',
      "plugin 'plugin1' is configured, but this data plane does not have it",
      lacks('plugin1'),
    ));

  test('names all that is wrong, under the status of the first', () =>
    rejects(
      { version: '2.6.0', plugins: { plugin1: '1.2.0', plugin2: '2.1.0' } },
      'kong_version_incompatible',
      `version mismatches, CP version: 2.5.2 DP version: 2.6.0; ${differs('1.2.0')}`,
    ));
});
