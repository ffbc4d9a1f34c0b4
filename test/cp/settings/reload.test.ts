import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { reloading } from '../../../cp/commands/reloading.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { loadSettings } from '../../../cp/settings/load.ts';
import { properties, type SettingName, type Settings } from '../../../cp/settings/properties.ts';
import { reloadedSettings } from '../../../cp/settings/reload.ts';

const { settings: defaults } = loadSettings({ environment: {} });
const names = Object.keys(properties).filter((name): name is SettingName => name in properties);

/** Settings in which every value is another one. */
const others = Object.fromEntries(names.map((name) => [name, `another ${name}`])) as unknown as Settings;

describe('a reload', () => {
  it('takes anew what docs/operations.md lists, and names all else that changed', () => {
    const { settings, unchanged } = reloadedSettings(defaults, others);
    const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
    const [paragraph = ''] = /^Taken anew:[\s\S]*?\n\n/m.exec(page) ?? [];
    // Of cluster_* the page speaks in words: its certificates and keys.
    const listed = [...paragraph.matchAll(/`([a-z_]+)(\*?)`/g)].flatMap(([, name = '', star]) =>
      name === 'cluster_'
        ? []
        : star
          ? names.filter((each) => each.startsWith(name))
          : names.filter((each) => each === name),
    );
    const taken = names.filter((name) => settings[name] === others[name]);
    const certificates = names.filter((name) => /^cluster_(?:ca_)?cert|(?:^|_)ssl_cert/.test(name));
    for (const name of [...listed, ...certificates]) expect(taken, name).toContain(name);
    expect(unchanged).toEqual(names.filter((name) => !taken.includes(name)));
    expect(unchanged).toContain('admin_listen');
  });

  it('happens once more for all that were asked for while one was under way, with the newest settings', async () => {
    const versions: Settings[] = [
      { ...defaults, trusted_ips: ['10.0.0.1'] },
      { ...defaults, trusted_ips: ['10.0.0.2'] },
    ];
    const read = vi.fn(() => versions.shift() ?? expect.fail('read too often'));
    const taken: Settings[] = [];
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const reload = reloading(defaults, {
      controlPlane: null,
      dataPlane: { prepare: async () => () => gate },
      read,
      done: (settings) => taken.push(settings),
      stopping: () => false,
      log: createLog('crit', () => {}),
    });
    reload();
    reload();
    reload();
    go();
    await vi.waitFor(() => expect(taken, 'two reloads').toHaveLength(2), { timeout: 60_000 });
    expect(taken.map(({ trusted_ips }) => trusted_ips)).toEqual([['10.0.0.1'], ['10.0.0.2']]);
  });
});
