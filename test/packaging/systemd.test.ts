import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadSettings } from '../../cp/settings/load.ts';

const path = (name: string) => fileURLToPath(new URL(`../../packaging/systemd/${name}`, import.meta.url));

it.each(['control-plane', 'data-plane'])('the settings beside the unit of the %s are good as they are', (plane) => {
  const environment = { PG_PASSWORD: 'secret' };
  const { settings, warnings } = loadSettings({ conf: path(`${plane}.conf`), environment });
  expect(warnings).toEqual([]);
  expect(settings.role).toBe(plane.replace('-', '_'));
  const unit = readFileSync(path(`holdfast-${plane}.service`), 'utf8');
  // What it may write to is its own.
  const options = `--conf /etc/holdfast/${plane}.conf --prefix /var/lib/holdfast/${plane}`;
  expect(unit).toContain(`\nExecStart=/usr/local/bin/holdfast start ${options}\n`);
  expect(unit).toContain(`\nExecReload=/usr/local/bin/holdfast reload ${options}\n`);
  expect(unit).toContain(`\nStateDirectory=holdfast holdfast/${plane}\n`);
  // A control plane ends where its database is away, and would be given up after five starts in ten seconds.
  expect(unit).toMatch(/^\[Unit\]\n[^[]*^StartLimitIntervalSec=0$/m);
  expect(unit).toContain('\nRestart=always\n');
  // A port below 1024 takes the right to it.
  const isPrivileged = settings.role === 'data_plane' && settings.proxy_listen.some(({ port }) => port < 1024);
  expect(unit.includes('\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n')).toBe(isPrivileged);
});
