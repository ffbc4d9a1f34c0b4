import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { configCommand } from '../../../cp/commands/config.ts';
import { dataPlaneOptions } from '../../../cp/commands/data-plane-options.ts';
import { choosePlugins } from '../../../cp/commands/enabled-plugins.ts';
import { createLog } from '../../../cp/instance/log.ts';
import { loadSettings } from '../../../cp/settings/load.ts';
import { HOST_CAPABILITIES } from '../../../shared/cluster/hosts.ts';

/** What a data plane of some version runs, whatever this one does. */
const plugins = async () => ({ bundled: new Set(['key-auth']), load: async () => [] });

const NOT_ENABLED = "plugin 'acl' not enabled; add it to the 'plugins' configuration property";

let folder: string;
let file: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'plugins '));
  file = join(folder, 'kong.yml');
  writeFileSync(
    file,
    `
_format_version: "3.0"
services:
  - name: s1
    url: http://up.test
    plugins: [{ name: acl, config: { allow: [a] } }, { name: key-auth }]
  - name: s2
    url: http://up.test
    plugins: [{ name: acl, config: { allow: [b] } }]
  - name: "off"
    enabled: false
    url: http://up.test
    plugins: [{ name: cors }]
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `holdfast config WORDS` prints with the settings of a role. */
async function run(words: readonly string[], role: string): Promise<string> {
  let printed = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  const conf = join(folder, `${role}.conf`);
  writeFileSync(conf, `role = ${role}\ncluster_cert = c\ncluster_cert_key = k\nbundle_signing_key = b\n`);
  try {
    await configCommand(plugins, () => expect.fail('nothing is replayed')).run({
      words,
      conf,
      prefix: folder,
      options: {},
    });
    return printed;
  } finally {
    write.mockRestore();
  }
}

describe('a declarative file with a plugin that data planes of this version do not have', () => {
  it('is named by config check for every kind of data plane, with how often it is used', async () => {
    const parts = (await run(['check', file], 'control_plane')).split('\n\n').slice(1);
    expect(parts).toHaveLength(Object.keys(HOST_CAPABILITIES).length);
    for (const part of parts) {
      expect(part).toMatch(
        /^\w+: cannot honour 2 entities\n {2}plugin 'acl' \(2 uses\): data planes of this version do not have it, and get no config while it is used$/m,
      );
      expect(part).not.toContain('cors');
    }
  });

  it('parses for a control plane alone, and for one with a data plane of its own does not', async () => {
    expect(await run(['parse', file], 'control_plane')).toBe('parse successful\n');
    await expect(run(['parse', file], 'traditional')).rejects.toThrow(NOT_ENABLED);
  });

  it('is refused as declarative_config before the data plane starts', async () => {
    const { settings } = loadSettings({
      environment: { HOLDFAST_ROLE: 'data_plane', HOLDFAST_DATABASE: 'off', HOLDFAST_DECLARATIVE_CONFIG: file },
    });
    await expect(dataPlaneOptions(settings, createLog('crit'), await choosePlugins(settings, plugins))).rejects.toThrow(
      NOT_ENABLED,
    );
  });
});
