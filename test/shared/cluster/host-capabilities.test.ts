import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { CAPABILITIES } from '../../../shared/cluster/capabilities.ts';
import { HOST_CAPABILITIES, type HostKind } from '../../../shared/cluster/hosts.ts';

function text(path: string): string {
  return readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
}

/** The table's columns, in order. */
const HOSTS: readonly HostKind[] = ['workerd', 'node', 'cloudflare', 'miniflare'];

describe('docs/capabilities.md tells what hosts report of themselves', () => {
  it.each(Object.keys(CAPABILITIES))('%s', (capability) => {
    const row = text('docs/capabilities.md')
      .split('\n')
      .find((line) => line.startsWith(`| \`${capability}\``));
    const told = row
      ?.split('|')
      .slice(2, 6)
      .map((cell) => cell.trim().startsWith('yes'));
    expect(told).toEqual(HOSTS.map((host) => HOST_CAPABILITIES[host].some((own) => own === capability)));
  });
});

it('wrangler.toml has the Worker report what Cloudflare can do', () => {
  const [, list = ''] = /^capabilities = \[(.*)\]$/m.exec(text('wrangler.toml')) ?? [];
  expect(list.split(',').map((item) => item.trim().replaceAll('"', ''))).toEqual(HOST_CAPABILITIES.cloudflare);
});
