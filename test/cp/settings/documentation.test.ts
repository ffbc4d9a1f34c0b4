import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { properties } from '../../../cp/settings/properties.ts';

const page = readFileSync(new URL('../../../docs/settings.md', import.meta.url), 'utf8');

it.each(Object.entries(properties))('docs/settings.md tells %s and its default', (name, { default: initial }) => {
  const row = page.split('\n').find((line) => firstCell(line).includes(`\`${name}\``));
  expect(row).toBeDefined();
  if (initial !== null && initial !== '') expect(row).toContain(`\`${initial}\``);
});

function firstCell(line: string): string {
  return line.startsWith('|') ? (line.split('|')[1] ?? '') : '';
}
