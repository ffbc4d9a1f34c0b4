import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { OwnResponse } from '../../../../edge-dp/http/messages.ts';
import type { PluginRegistry } from '../../../../edge-dp/plugins/registry.ts';
import { PluginPlan } from '../../../../edge-dp/plugins/runtime/plan.ts';
import type { Plugin } from '../../../../edge-dp/plugins/runtime/plugin.ts';
import { ResponseReply } from '../../../../edge-dp/plugins/runtime/reply.ts';
import { PluginRun } from '../../../../edge-dp/plugins/runtime/run.ts';
import { abandonPlans, settlePlans } from '../../../../edge-dp/plugins/runtime/settle-plans.ts';
import { ProxyExchange } from '../../../../edge-dp/proxy/exchange.ts';
import { Gateway } from '../../../../edge-dp/proxy/gateway.ts';
import { exit } from '../../../../edge-dp/proxy/outcome.ts';
import { DEFAULT_WORKSPACE } from '../../../../shared/workspace.ts';
import { fakeRequest, fakeServices } from '../fakes.ts';

type Log = string[];
type Config = { readonly label: string; readonly does?: 'exit' | 'throw' | 'authenticate' };

/** A plugin that writes down what it was called for. */
function recorder(name: string, priority: number, log: Log): Plugin<Config> {
  return {
    name,
    version: '1.0.0',
    priority,
    compile({ label, does }) {
      if (label === 'broken') throw new Error('label must not be broken');
      return {
        access(request) {
          log.push(`access ${name} ${label}`);
          if (does === 'authenticate')
            request.identity.authenticate({ id: 'alice', username: 'alice', custom_id: null, row: {} }, null);
          if (does === 'throw') throw new Error('boom');
          return does === 'exit' ? new OwnResponse(418, label) : undefined;
        },
        async response() {
          log.push(`response ${name} ${label}`);
          return undefined;
        },
        log() {
          log.push(`log ${name} ${label}`);
        },
        close() {
          log.push(`close ${name} ${label}`);
        },
      };
    },
  };
}

function planOf(log: Log): PluginPlan {
  const plugins = [
    recorder('auth', 1000, log),
    recorder('late', 10, log),
    recorder('aaa', 500, log),
    recorder('zzz', 500, log),
  ];
  const registry: PluginRegistry = new Map(plugins.map((plugin) => [plugin.name, plugin]));
  return PluginPlan.empty(registry, fakeServices());
}

const HERE = { workspace: DEFAULT_WORKSPACE.id, route: 'r', service: 's' };

type Row = { id: string } & Record<string, unknown>;
type Scope = Partial<Record<'route' | 'service' | 'consumer' | 'consumer_group', string>>;
const row = (id: string, name: string, config: Config, scope: Scope = {}): Row => ({
  id,
  name,
  config,
  ...Object.fromEntries(Object.entries(scope).map(([field, id]) => [field, { id }])),
});

const idsOf = (plan: PluginPlan, ...chain: Parameters<PluginPlan['chain']>) =>
  plan.chain(...chain).instances.map(({ place }) => place.id);

/** A request of alice, who is in the group vip, through all phases. */
async function run(plan: PluginPlan, log: Log) {
  log.length = 0;
  const request = fakeRequest({
    rows: { consumer_group_consumers: { alice: [{ id: 'm', consumer_group: { id: 'vip' } }] } },
    groups: [{ id: 'vip', name: 'vip' }],
  });
  const plugins = new PluginRun(plan, plan.chain({ ...HERE, route: null, service: null }), request);
  let answer: unknown;
  try {
    answer = await plugins.access(request);
  } catch (error) {
    answer = error;
  }
  const response = new OwnResponse(200, '');
  const reply = new ResponseReply(response, 'exit', () => undefined);
  await plugins.response(request, reply);
  plugins.log(
    new ProxyExchange(request, {
      outcome: exit(response),
      reply,
      headAt: Date.now(),
      end: { aborted: false, clientLeft: false },
    }),
  );
  return answer;
}

/** Kong's twelve places, the closest first. */
const PLACES: readonly Scope[] = [
  { consumer: 'c', route: 'r', service: 's' },
  { consumer_group: 'g', route: 'r', service: 's' },
  { consumer: 'c', route: 'r' },
  { consumer: 'c', service: 's' },
  { consumer_group: 'g', route: 'r' },
  { consumer_group: 'g', service: 's' },
  { route: 'r', service: 's' },
  { consumer: 'c' },
  { consumer_group: 'g' },
  { route: 'r' },
  { service: 's' },
  {},
];

describe('the plugin plan', () => {
  it('takes the configuration of the closest of twelve places, whichever there are, and merges none', () => {
    fc.assert(
      fc.property(fc.subarray([...PLACES.keys()]), (present) => {
        const plan = planOf([]).update({
          upserts: present.map((place) => row(String(place), 'late', { label: '' }, PLACES[place])),
          deletes: [],
        });
        const closest = (fits: (scope: Scope) => boolean) =>
          present
            .filter((place) => fits(PLACES[place] ?? {}))
            .slice(0, 1)
            .map(String);
        expect(idsOf(plan, HERE, { consumer: 'c', groups: ['g'] })).toEqual(closest(() => true));
        expect(idsOf(plan, HERE, { consumer: 'c', groups: ['other'] })).toEqual(
          closest((scope) => scope.consumer_group === undefined),
        );
        expect(idsOf(plan, HERE, { consumer: 'd', groups: ['g'] })).toEqual(
          closest((scope) => scope.consumer === undefined),
        );
        expect(idsOf(plan, HERE)).toEqual(
          closest((scope) => scope.consumer === undefined && scope.consumer_group === undefined),
        );
      }),
    );
  });

  it('takes the first of several groups that has a configuration', () => {
    const plan = planOf([]).update({
      upserts: [
        row('1', 'late', { label: '' }, { consumer_group: 'silver' }),
        row('2', 'late', { label: '' }, { consumer_group: 'gold' }),
      ],
      deletes: [],
    });
    expect(idsOf(plan, HERE, { consumer: null, groups: ['bronze', 'gold', 'silver'] })).toEqual(['2']);
    expect(idsOf(plan, HERE, { consumer: null, groups: ['silver', 'gold'] })).toEqual(['1']);
  });

  it('runs by priority, then by name backwards', async () => {
    const log: Log = [];
    const names = ['late', 'aaa', 'zzz', 'auth'];
    const plan = planOf(log).update({ upserts: names.map((name) => row(name, name, { label: '' })), deletes: [] });
    await run(plan, log);
    expect(log.filter((line) => line.startsWith('access')).map((line) => line.split(' ')[1])).toEqual([
      'auth',
      'zzz',
      'aaa',
      'late',
    ]);
  });

  it('chooses anew for the consumer and its groups once one is authenticated, for what is still to run', async () => {
    const log: Log = [];
    let plan = planOf(log).update({
      upserts: [
        row('1', 'zzz', { label: 'any', does: 'authenticate' }),
        row('2', 'late', { label: 'any' }),
        row('3', 'late', { label: 'alice' }, { consumer: 'alice' }),
        row('4', 'auth', { label: 'alice' }, { consumer: 'alice' }),
        row('5', 'aaa', { label: 'alice' }, { consumer: 'alice' }),
      ],
      deletes: [],
    });
    await run(plan, log);
    const steps = ['zzz any', 'aaa alice', 'late alice'];
    expect(log).toEqual(['access', 'response', 'log'].flatMap((phase) => steps.map((step) => `${phase} ${step}`)));

    plan = plan.update({ upserts: [row('6', 'late', { label: 'vip' }, { consumer_group: 'vip' })], deletes: ['3'] });
    for (let again = 0; again < 2; again++) {
      await run(plan, log);
      expect(log.filter((line) => line.startsWith('access'))).toEqual([
        'access zzz any',
        'access aaa alice',
        'access late vip',
      ]);
    }
  });

  it('lets the later phases of all run when one answers or throws', async () => {
    const log: Log = [];
    for (const does of ['exit', 'throw'] as const) {
      const plan = planOf(log).update({
        upserts: [row('1', 'auth', { label: '', does }), row('2', 'late', { label: '' })],
        deletes: [],
      });
      const answer = await run(plan, log);
      if (does === 'exit') expect(answer).toMatchObject({ response: { status: 418 }, served: false });
      else
        expect(String(answer)).toMatch(
          /request [0-9a-f]{32}: plugin auth \(1\) failed in access: boom \(GET \/\S*, client \S+\)$/,
        );
      expect(log).toEqual(['access auth ', 'response auth ', 'response late ', 'log auth ', 'log late ']);
    }
  });

  it('closes what went once the plan without it is in force, and not before', () => {
    const log: Log = [];
    const first = planOf(log).update({
      upserts: [row('1', 'late', { label: 'a' }), row('2', 'auth', { label: 'a' })],
      deletes: [],
    });
    settlePlans([], [first], false);
    const second = first.update({ upserts: [row('1', 'late', { label: 'b' })], deletes: [] });
    expect(() => second.update({ upserts: [row('3', 'nope', { label: '' })], deletes: ['2'] })).toThrow('nope');
    const third = second.update({ upserts: [], deletes: ['2'] });
    expect(log).toEqual([]);
    settlePlans([first], [third], false);
    settlePlans([third], [third], false);
    expect(log).toEqual(['close late a', 'close auth a']);
  });

  it('closes what was compiled of a change that is refused then, and nothing else', () => {
    const log: Log = [];
    const held = planOf(log).update({ upserts: [row('1', 'late', { label: 'a' })], deletes: [] });
    const rows = [
      row('1', 'late', { label: 'b' }),
      row('2', 'auth', { label: 'b' }),
      row('3', 'zzz', { label: 'broken' }),
    ];
    expect(() => held.update({ upserts: rows, deletes: [] })).toThrow('broken');
    expect(log).toEqual(['close late b', 'close auth b']);
  });

  it('closes what requests would have had where what is for streams is refused', () => {
    const log: Log = [];
    const registry: PluginRegistry = new Map([['late', recorder('late', 10, log)]]);
    const services = fakeServices();
    const gateway = Gateway.empty('traditional_compatible', { registry, services }, null, { streams: true });
    const rows = [row('1', 'late', { label: 'a' }), { ...row('2', 'late', { label: 'broken' }), protocols: ['tcp'] }];
    expect(() => gateway.update(new Map([['plugins', { upserts: rows, deletes: [] }]]))).toThrow('broken');
    expect(log).toEqual(['close late a']);
  });

  it('closes of a plan that was only looked at what is its own, and nothing of the one in force', () => {
    const log: Log = [];
    const held = planOf(log).update({
      upserts: [row('1', 'late', { label: 'a' }), row('2', 'auth', { label: 'a' })],
      deletes: [],
    });
    settlePlans([], [held], false);
    const looked = held.update({ upserts: [row('1', 'late', { label: 'b' })], deletes: ['2'] });
    abandonPlans([looked], [held]);
    expect(log.splice(0)).toEqual(['close late b']);
    // Nor does anything of it come back when the same change is made for good.
    settlePlans([held], [held.update({ upserts: [row('1', 'late', { label: 'b' })], deletes: ['2'] })], false);
    expect(log.toSorted()).toEqual(['close auth a', 'close late a']);
  });

  it('closes nothing that one of two plans in force has, and all that neither has, however the split between them ends', () => {
    const log: Log = [];
    const late = (label: string) => row('1', 'late', { label });
    const rest = planOf(log).update({ upserts: [late('rest'), row('2', 'auth', { label: 'both' })], deletes: [] });
    settlePlans([], [rest], false);
    const tried = rest.update({ upserts: [late('tried'), row('3', 'zzz', { label: 'own' })], deletes: [] });
    settlePlans([rest], [rest, tried], true);
    expect(log).toEqual([]);
    // Undone, and tried once more, with another change; then it becomes everybody's.
    settlePlans([rest, tried], [rest], true);
    expect(log.splice(0).toSorted()).toEqual(['close late tried', 'close zzz own']);
    const again = rest.update({ upserts: [late('again')], deletes: [] });
    settlePlans([rest], [rest, again], true);
    const after = again.update({ upserts: [], deletes: ['2'] });
    settlePlans([rest, again], [after], true);
    expect(log.toSorted()).toEqual(['close auth both', 'close late rest']);
  });

  it("runs a workspace's global plugins for its own routes only, and changes each without the others", () => {
    let plan = planOf([]).update({
      upserts: [
        row('here', 'late', { label: '' }),
        { ...row('there', 'late', { label: '' }), ws_id: 'w2' },
        { ...row('there too', 'auth', { label: '' }), ws_id: 'w2' },
        { ...row('bound', 'zzz', { label: '' }, { route: 'r2' }), ws_id: 'w2' },
      ],
      deletes: [],
    });
    const chosen = (workspace: string, route: string | null) => idsOf(plan, { workspace, route, service: null });
    expect(chosen(HERE.workspace, 'r1')).toEqual(['here']);
    expect(chosen(HERE.workspace, null)).toEqual(['here']);
    expect(chosen('w2', 'r2')).toEqual(['there too', 'bound', 'there']);
    expect(chosen('w3', 'r3')).toEqual([]);
    plan = plan.update({ upserts: [], deletes: ['there'] });
    expect(chosen('w2', 'r2')).toEqual(['there too', 'bound']);
    expect(chosen(HERE.workspace, 'r1')).toEqual(['here']);
  });

  it('leaves out what is disabled or for streams, and lets a place pass from one row to another', () => {
    let plan = planOf([]).update({
      upserts: [
        { ...row('1', 'late', { label: 'a' }), enabled: false },
        { ...row('2', 'auth', { label: 'a' }), protocols: ['tcp'] },
        row('3', 'zzz', { label: 'a' }),
      ],
      deletes: [],
    });
    expect(idsOf(plan, HERE)).toEqual(['3']);
    plan = plan.update({ upserts: [row('4', 'zzz', { label: 'b' })], deletes: ['3'] });
    expect(idsOf(plan, HERE)).toEqual(['4']);
  });

  it('refuses a plugin it does not have and a config that does not compile, by name, and stays as it was', () => {
    const plan = planOf([]).update({ upserts: [row('1', 'late', { label: 'a' })], deletes: [] });
    const change = (name: string, label: string) => () =>
      plan.update({ upserts: [row('2', name, { label })], deletes: ['1'] });
    expect(change('nope', 'a')).toThrow("plugins 2: this data plane has no plugin 'nope'");
    expect(change('zzz', 'broken')).toThrow("plugins 2: 'zzz' does not compile: label must not be broken");
    expect(idsOf(plan, HERE)).toEqual(['1']);
  });

  describe('with secrets of the node', () => {
    const references = ['{vault://env/token}'];
    /** An http-log with the secret in a header, and what is written to the log meanwhile. */
    const withSecret = (value: string, missing: string | null, watches: boolean) => {
      const compile = (config: unknown) => {
        if (JSON.stringify(config).includes('unusable')) throw new Error(`${value} is no good`);
        return { access: () => undefined, log: () => undefined };
      };
      const plugin: Plugin = { name: 'http-log', version: '1.0.0', priority: 1, compile, ...(watches && { watches }) };
      const errors: unknown[] = [];
      const spy = vi.spyOn(console, 'error').mockImplementation((line) => void errors.push(line));
      const plan = PluginPlan.empty(new Map([[plugin.name, plugin]]), fakeServices()).update({
        upserts: [{ ...row('1', 'http-log', { label: '' }), config: { headers: { Authorization: value } } }],
        deletes: [],
        secrets: new Map([['1', { references, missing }]]),
      });
      spy.mockRestore();
      return { hooks: plan.chain(HERE).instances[0]?.hooks, logged: errors.join('\n') };
    };

    it('runs as any other where they are there', () => {
      expect(() => withSecret('Bearer x', null, false).hooks?.access?.(fakeRequest())).not.toThrow();
    });

    it.each([
      [
        'ends a line of a header',
        'bad-s3cret\r\nX-Evil: 1',
        null,
        'config.headers.* cannot stand in a header, with the value of',
      ],
      ['does not compile', 'bad-s3cret unusable', null, 'does not compile, with the value of {vault://env/token}'],
      ['is not there', '{vault://env/token}', '{vault://env/token} cannot be resolved: why', 'cannot be resolved: why'],
    ])('fails closed where one %s, and says so without the secret', (_, value, missing, words) => {
      const { hooks, logged } = withSecret(value, missing, false);
      expect(() => hooks?.access?.(fakeRequest())).toThrow(words);
      if (missing === null) expect(logged).toContain(words);
      expect(logged).not.toContain('s3cret');
    });

    it('lets requests go on without a plugin that only watches', () => {
      const { hooks } = withSecret('x', '{vault://env/token} cannot be resolved: why', true);
      expect(hooks?.access).toBeUndefined();
      expect(hooks?.log).toThrow('cannot be resolved: why');
    });
  });
});
