import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { parseConfigText } from '../cp/commands/config-file.ts';
import { luaModules } from '../cp/lua/modules.ts';
import { parseConf } from '../cp/settings/conf-file.ts';
import { loadSettings } from '../cp/settings/load.ts';
import { properties } from '../cp/settings/properties.ts';
import type { Property } from '../cp/settings/property.ts';
import { schemasFor } from '../cp/store/schemas.ts';
import { provideDataPlaneLua } from '../edge-dp/hosts/plugin-lua.ts';
import packageFile from '../package.json' with { type: 'json' };
import { provideLua } from '../shared/lua/provided.ts';
import { type Block, blocksOf, PAGES, ROOT } from './documented-blocks.ts';
import { runHoldfast } from './e2e/processes.ts';

const settings: Readonly<Record<string, Property<unknown>>> = properties;

/** By command: the words that may follow it, as the shell's completion has them. */
const words = new Map<string, readonly string[]>();

beforeAll(async () => {
  const { output } = await runHoldfast(['completion', 'bash']);
  for (const [, name = '', next = ''] of output.matchAll(/^ {4}(\w+)\) words="(.*)" ;;$/gm)) {
    words.set(name, next.split(' '));
  }
  provideLua(luaModules);
  provideDataPlaneLua();
});

/** The commands of a shell block, without comments; a line that goes on is one. */
function commandsOf({ text }: Block): string[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/(?:^|\s)#.*$/, ''))
    .flatMap((line) => line.split(/&&|\||;/))
    .map((command) => command.trim())
    .filter((command) => command !== '');
}

/** What is wrong with a call of `holdfast`, as it would be without its arguments' values. */
function faultOf(call: string): string | null {
  const [command = '', ...rest] = call.split(/\s+/).filter((word) => word !== '');
  // `COMMAND`, `…`: any.
  if (!/^[a-z]/.test(command)) return null;
  const next = words.get(command);
  if (next === undefined) return `there is no command '${command}'`;
  const flags = rest.flatMap((word) => /^--[\w-]+/.exec(word)?.[0] ?? []);
  const unknown = flags.find((flag) => !next.includes(flag));
  if (unknown !== undefined) return `'${command}' has no option ${unknown}`;
  const actions = next.filter((word) => !word.startsWith('--'));
  const [action = ''] = rest;
  const isAction = /^[a-z_|]+$/.test(action) && actions.length > 0;
  const wrong = isAction ? action.split('|').find((one) => !actions.includes(one)) : undefined;
  return wrong === undefined ? null : `'${command}' has no '${wrong}', but ${actions.join(', ')}`;
}

const CALL = /(?:npx --no |npm run -s )?holdfast (?:-- )?(.*)$/;

describe.each([...PAGES, 'CONTRIBUTING.md'])('%s', (page) => {
  it('calls commands that are there, with options they take', () => {
    const inBlocks = blocksOf(page)
      .filter(({ language }) => language === 'sh')
      .flatMap(commandsOf)
      .map((command) => command.replace(/^(?:[A-Z_]+=(?:'[^']*'|\S)*\s+|sudo (?:-u \S+ )?(?:env )?)+/, ''))
      .filter((command) => /^(?:npx --no |npm run -s )?holdfast /.test(command));
    const inText = [...readFileSync(join(ROOT, page), 'utf8').matchAll(/`((?:npx --no )?holdfast [^`\n]+)`/g)].map(
      ([, call = '']) => call,
    );
    const faults = [...inBlocks, ...inText].flatMap((command) => {
      const fault = faultOf(CALL.exec(command)?.[1] ?? '');
      return fault === null ? [] : [`${command}: ${fault}`];
    });
    expect(faults).toEqual([]);
  });

  it('runs scripts of npm that are there, and sets what are settings', () => {
    const shell = blocksOf(page).filter(({ language }) => language === 'sh');
    const scripts = shell.flatMap(({ text }) =>
      [...text.matchAll(/npm run (?:-s )?([\w:]+)/g)].map(([, name]) => name),
    );
    expect(scripts.filter((name) => !Object.hasOwn(packageFile.scripts, name ?? ''))).toEqual([]);
    const set = shell.flatMap(({ text }) =>
      [...text.matchAll(/\b(?:HOLDFAST|KONG)_([A-Z_]+)=/g)].map(([, name]) => name),
    );
    expect(set.filter((name) => !Object.hasOwn(settings, name?.toLowerCase() ?? ''))).toEqual([]);
  });

  it('shows settings, declarative config and JSON that can be read', async () => {
    for (const { language, text } of blocksOf(page)) {
      // Of an object, or one member of it.
      if (language === 'json') JSON.parse(text.startsWith('"') ? `{${text}}` : text);
      if (language === 'yaml' && text.includes('_format_version')) {
        await parseConfigText(text, page, schemasFor('traditional_compatible', null, true));
      }
      const isSettings = language === 'ini' || (language === '' && /^(?:#.*\n)*[a-z_]+ = /.test(text));
      if (!isSettings) continue;
      for (const { name, value } of parseConf(text).lines) {
        expect(settings, `${page}: ${name}`).toHaveProperty(name);
        expect(settings[name]?.parse(value), `${page}: ${name} = ${value}`).not.toBeUndefined();
      }
      if (language === 'ini') loadWhole(text);
    }
  });
});

/** As the file of a node, which says all that it needs. Throws what is wrong with it. */
function loadWhole(text: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast conf '));
  try {
    writeFileSync(join(folder, 'holdfast.conf'), text);
    loadSettings({ conf: join(folder, 'holdfast.conf'), environment: {} });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
