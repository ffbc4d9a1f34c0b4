import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What users read. */
export const PAGES = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

export interface Block {
  readonly language: string;
  readonly text: string;
}

export function blocksOf(page: string): readonly Block[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(/^( *)```(\w*)\n(.*?)^ *```/gms)].map(([, indent = '', language = '', inner = '']) => ({
    language,
    text: inner.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }));
}

/** The commands of a shell block as they stand there, comments included: some take several lines. */
export function linesOf({ text }: Block): readonly string[] {
  const commands: string[] = [];
  let open = '';
  for (const line of text.split('\n')) {
    open += open === '' ? line : `\n${line}`;
    const quotes = open.replace(/(?:^|\s)#.*$/gm, '').split("'").length - 1;
    if (open.endsWith('\\') || quotes % 2 === 1) continue;
    if (!/^\s*(?:#|$)/.test(open)) commands.push(open);
    open = '';
  }
  return commands;
}
