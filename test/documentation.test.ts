import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { plugins } from '../edge-dp/plugins/registry.ts';
import { blocksOf } from './documented-blocks.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

const textOf = (page: string) => readFileSync(join(ROOT, page), 'utf8');

describe.each(PAGES)('%s', (page) => {
  it('names no file or folder that is not there', () => {
    const named = [...textOf(page).matchAll(/`((?:cp|edge-dp|shared|test|docs)\/[^`<>*\s]*)`/g)].map(
      ([, path = '']) => path,
    );
    expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('links to pages that are there', () => {
    const links = [...textOf(page).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = '']) => path);
    expect(links.filter((path) => !existsSync(join(ROOT, dirname(page), path)))).toEqual([]);
  });
});

it('docs/architecture.md tells what every folder holds', () => {
  const folders = ['cp', 'edge-dp', 'shared'].flatMap((plane) =>
    readdirSync(join(ROOT, plane), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => `${plane}/${entry.name}`)
      .filter((folder) => readdirSync(join(ROOT, folder)).length > 0),
  );
  const page = textOf('docs/architecture.md');
  expect(folders.filter((folder) => !page.includes(`\`${folder}\``))).toEqual([]);
});

it('docs/plugin-development.md shows the example that is tested, and its test', () => {
  const shown = blocksOf('docs/plugin-development.md').filter(({ language }) => language === 'ts');
  const files = ['schema', 'handler', 'teapot.test'].map((part) => textOf(`test/own-plugins/teapot/${part}.ts`));
  expect(shown.map(({ text }) => text)).toEqual(expect.arrayContaining(files));
});

it('docs/kong-differences.md lists the plugins that run on data planes', () => {
  const [, list = ''] =
    /bundled plugins run on data planes:\n\n((?:- .*\n)+)/.exec(textOf('docs/kong-differences.md')) ?? [];
  const names = list.replace(/\(.*\)/g, '');
  expect([...names.matchAll(/`([a-z0-9-]+)`/g)].map(([, name]) => name).toSorted()).toEqual(
    [...plugins.keys()].toSorted(),
  );
});

it('git takes none of the private keys that people are told to make in a clone', () => {
  const ignored = textOf('.gitignore').split('\n');
  const [, folder = ''] = /hybrid gen_cert --dir (\S+)/.exec(textOf('README.md')) ?? [];
  expect(ignored).toEqual(expect.arrayContaining([`${folder}/`, '*.key', 'bundle-signing.key']));
});

it('no page tells people to run a package of this name from a registry', () => {
  for (const page of PAGES) expect(textOf(page)).not.toMatch(/npx (?!--no |wrangler )(\S+ )*holdfast/);
});
