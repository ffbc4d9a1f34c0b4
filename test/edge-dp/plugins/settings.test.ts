import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { plugins as run } from '../../../edge-dp/plugins/registry.ts';
import { bundledPlugins, plugins } from '../../../shared/plugins/registry.ts';
import type { Field } from '../../../shared/schema/vocabulary.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const PLUGINS = join(ROOT, 'edge-dp/plugins');
/** What plugins share with all others, and no setting of one is read in. */
const NOT_OF_ONE = ['runtime', 'services'].map((folder) => `${join(PLUGINS, folder)}/`);

/** The sources that say what a plugin does: its own and what they import of other plugins' pieces, and what the control plane does for it. */
function sourcesOf(name: string): string {
  const found = new Set<string>();
  const follow = (file: string): void => {
    if (found.has(file) || !existsSync(file) || NOT_OF_ONE.some((folder) => file.startsWith(folder))) return;
    found.add(file);
    for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)) {
      const imported = resolve(dirname(file), path);
      if (imported.startsWith(`${PLUGINS}/`)) follow(imported);
    }
  };
  follow(join(PLUGINS, `${name}.ts`));
  const own = join(ROOT, 'cp', name);
  if (existsSync(own)) for (const file of readdirSync(own)) found.add(join(own, file));
  return [...found].map((file) => readFileSync(file, 'utf8')).join('\n');
}

/** Paths of what can be set to a value, with what is said of it. */
function* settings(fields: Readonly<Record<string, Field>>, path: readonly string[] = []): Generator<Setting> {
  for (const [name, field] of Object.entries(fields)) {
    const here = [...path, name];
    const inner = field.type === 'map' ? field.values : field.type === 'array' ? field.elements : field;
    if (inner?.type === 'record') yield* settings(inner.fields, here);
    else yield { path: here, description: field.description ?? '' };
  }
}

interface Setting {
  readonly path: readonly string[];
  readonly description: string;
}

const DOCUMENTS = ['kong-differences', 'response-cache'].flatMap((name) =>
  readFileSync(join(ROOT, 'docs', `${name}.md`), 'utf8').split('\n'),
);

/** Whether a line of the documents names the plugin, and the setting or what it is in. */
function isTold(name: string, path: readonly string[]): boolean {
  const names = [...path, path.join('.'), `config.${path.join('.')}`].map((each) => `\`${each}\``);
  return DOCUMENTS.some((line) => line.includes(name) && names.some((each) => line.includes(each)));
}

it('data planes run every plugin of this project, and no other', () => {
  expect([...run.keys()].sort()).toEqual([...bundledPlugins].sort());
});

it.each([...bundledPlugins].sort())(
  'each setting of %s is read by what runs it, or said to be without effect',
  (name) => {
    const sources = sourcesOf(name);
    const fields = plugins.get(name)?.fields.config;
    if (fields?.type !== 'record') throw new Error(`there is no plugin '${name}'`);
    const idle = [...settings(fields.fields)].filter(({ path, description }) => {
      const read = new RegExp(`\\b${path.at(-1)}\\b`).test(sources);
      return !read && !description.startsWith('Without effect') && !isTold(name, path);
    });
    expect(idle.map(({ path }) => path.join('.'))).toEqual([]);
  },
);
