import { describe, expect, it } from 'vitest';
import { OwnResponse } from '../../../edge-dp/http/messages.ts';
import { PluginPlan } from '../../../edge-dp/plugins/plan.ts';
import type { Plugin, RequestContext } from '../../../edge-dp/plugins/plugin.ts';
import type { PluginRegistry } from '../../../edge-dp/plugins/registry.ts';
import { PluginRun } from '../../../edge-dp/plugins/run.ts';
import { DEFAULT_WORKSPACE } from '../../../shared/workspace.ts';

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
          if (does === 'authenticate') request.consumer = { id: 'alice', username: 'alice', custom_id: null };
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
  return PluginPlan.empty(registry);
}

const HERE = { workspace: DEFAULT_WORKSPACE.id };

type Row = { id: string } & Record<string, unknown>;
const row = (
  id: string,
  name: string,
  config: Config,
  scope: Partial<Record<'route' | 'service' | 'consumer', string>> = {},
): Row => ({
  id,
  name,
  config,
  route: scope.route ? { id: scope.route } : null,
  service: scope.service ? { id: scope.service } : null,
  consumer: scope.consumer ? { id: scope.consumer } : null,
});

async function run(plan: PluginPlan, log: Log) {
  log.length = 0;
  const request = {
    ...HERE,
    route: { id: 'r', name: null },
    service: { id: 's', name: null },
    consumer: null,
  } as unknown as RequestContext;
  const plugins = new PluginRun(plan);
  const answer = await plugins.access(request).catch((error: unknown) => error);
  const response = { status: 200, headers: new Headers(), source: 'kong' } as const;
  await plugins.response(request, response);
  plugins.log(request, response);
  return answer;
}

describe('the plugin plan', () => {
  it('takes the most specific configuration of each plugin and merges none', () => {
    const scopes: [string, Parameters<typeof row>[3]][] = [
      ['global', {}],
      ['service', { service: 's' }],
      ['route', { route: 'r' }],
      ['consumer', { consumer: 'c' }],
      ['route+service', { route: 'r', service: 's' }],
      ['service+consumer', { service: 's', consumer: 'c' }],
      ['route+consumer', { route: 'r', consumer: 'c' }],
      ['route+service+consumer', { route: 'r', service: 's', consumer: 'c' }],
    ];
    let plan = planOf([]);
    const chosen = () => plan.chain({ ...HERE, route: 'r', service: 's', consumer: 'c' }).map(({ scope }) => scope.id);
    for (const [label, scope] of scopes) {
      plan = plan.update({ upserts: [row(label, 'late', { label }, scope)], deletes: [] });
      expect(chosen()).toEqual([label]);
    }
    for (const [label] of scopes.toReversed()) {
      expect(chosen()).toEqual([label]);
      plan = plan.update({ upserts: [], deletes: [label] });
    }
    expect(chosen()).toEqual([]);
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

  it('chooses anew for the consumer once one is authenticated, for what is still to run', async () => {
    const log: Log = [];
    const plan = planOf(log).update({
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
  });

  it('lets the later phases of all run when one answers or throws', async () => {
    const log: Log = [];
    for (const does of ['exit', 'throw'] as const) {
      const plan = planOf(log).update({
        upserts: [row('1', 'auth', { label: '', does }), row('2', 'late', { label: '' })],
        deletes: [],
      });
      const answer = await run(plan, log);
      if (does === 'exit') expect(answer).toBeInstanceOf(OwnResponse);
      else expect(String(answer)).toContain('plugin auth (1) failed in access: boom');
      expect(log).toEqual(['access auth ', 'response auth ', 'response late ', 'log auth ', 'log late ']);
    }
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
    const chosen = (workspace: string, route: string | null) =>
      plan.chain({ workspace, route, service: null, consumer: null }).map(({ scope }) => scope.id);
    expect(chosen(HERE.workspace, 'r1')).toEqual(['here']);
    expect(chosen(HERE.workspace, null)).toEqual(['here']);
    expect(chosen('w2', 'r2')).toEqual(['there too', 'bound', 'there']);
    expect(chosen('w3', 'r3')).toEqual([]);
    plan = plan.update({ upserts: [], deletes: ['there'] });
    expect(chosen('w2', 'r2')).toEqual(['there too', 'bound']);
    expect(chosen(HERE.workspace, 'r1')).toEqual(['here']);
  });

  it('leaves out what is disabled or for streams, and lets a scope pass from one row to another', () => {
    let plan = planOf([]).update({
      upserts: [
        { ...row('1', 'late', { label: 'a' }), enabled: false },
        { ...row('2', 'auth', { label: 'a' }), protocols: ['tcp'] },
        row('3', 'zzz', { label: 'a' }),
      ],
      deletes: [],
    });
    const target = { ...HERE, route: null, service: null, consumer: null };
    expect(plan.chain(target).map(({ scope }) => scope.id)).toEqual(['3']);
    plan = plan.update({ upserts: [row('4', 'zzz', { label: 'b' })], deletes: ['3'] });
    expect(plan.chain(target).map(({ scope }) => scope.id)).toEqual(['4']);
  });

  it('refuses a plugin it does not have and a config that does not compile, by name, and stays as it was', () => {
    const plan = planOf([]).update({ upserts: [row('1', 'late', { label: 'a' })], deletes: [] });
    const change = (name: string, label: string) => () =>
      plan.update({ upserts: [row('2', name, { label })], deletes: ['1'] });
    expect(change('nope', 'a')).toThrow("plugins 2: this data plane has no plugin 'nope'");
    expect(change('zzz', 'broken')).toThrow("plugins 2: 'zzz' does not compile: label must not be broken");
    expect(plan.chain({ ...HERE, route: null, service: null, consumer: null })).toHaveLength(1);
  });
});
