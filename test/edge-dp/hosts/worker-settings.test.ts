import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { workerSettings } from '../../../edge-dp/hosts/worker-settings.ts';
import packageFile from '../../../package.json' with { type: 'json' };
import { optionsFor } from './node.ts';

const toml = readFileSync(new URL('../../../wrangler.toml', import.meta.url), 'utf8');

/** The names set in a table of wrangler.toml. */
function namesIn(table: string): string[] {
  const [, body = ''] = toml.split(`\n[${table}]\n`);
  return [...(body.split(/\n\[/, 1)[0] ?? '').matchAll(/^(\w+) = /gm)].map(([, name = '']) => name);
}

it.each(['off', 'sandbox'] as const)(
  'a node says that it runs Lua of the config unless untrusted_lua is off: %s',
  (untrusted) => {
    const options = optionsFor('/nowhere');
    const facts = {
      nodeId: 'n',
      host: 'workerd',
      capabilities: ['lua', 'udp'],
      ports: { http: 8000, https: null },
    } as const;
    const lua = { untrusted, requires: [], environment: [] };
    const { node } = workerSettings({ ...options, proxy: { ...options.proxy, lua } }, facts);
    expect(node.capabilities).toEqual(untrusted === 'off' ? ['udp'] : ['lua', 'udp']);
  },
);

it('wrangler.toml sets what the hosts of this repository hand the Worker', () => {
  const { node, proxy, status, ...rest } = workerSettings(optionsFor('/nowhere'), {
    nodeId: 'n',
    host: 'workerd',
    capabilities: [],
    ports: { http: 8000, https: null },
  });
  expect(namesIn('vars.SETTINGS')).toEqual(expect.arrayContaining(Object.keys(rest)));
  expect(namesIn('vars.SETTINGS.node')).toEqual(expect.arrayContaining(Object.keys(node)));
  expect(namesIn('vars.SETTINGS.proxy')).toEqual(expect.arrayContaining(Object.keys(proxy)));
  expect(namesIn('vars.SETTINGS.status')).toEqual(expect.arrayContaining(Object.keys(status)));
  expect(toml).toContain(`\nversion = "${packageFile.version}"\n`);
});
