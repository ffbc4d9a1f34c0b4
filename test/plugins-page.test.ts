import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { plugins as handlers } from '../edge-dp/plugins/registry.ts';
import { CAPABILITIES, type Capability } from '../shared/cluster/capabilities.ts';
import { HOST_CAPABILITIES, HOST_KINDS, type HostKind } from '../shared/cluster/hosts.ts';
import { bundledPlugins, plugins } from '../shared/plugins/registry.ts';
import type { PluginSchema } from '../shared/schema/vocabulary.ts';

/** What the plugins bundled with Kong 3.9 are. */
const BUNDLED = 45;

const text = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

/** What `needs` of a schema can ask for: its own file says so, or one of the fields it shares with others. */
function capabilitiesOf({ name, needs }: PluginSchema): readonly Capability[] {
  if (needs === undefined) return [];
  const own = text(`shared/plugins/${name}.ts`);
  const shared = [...own.matchAll(/from '\.\/(fields\/[\w-]+\.ts)'/g)].map(([, path]) =>
    text(`shared/plugins/${path}`),
  );
  const found = [own, ...shared].flatMap((source) => [...source.matchAll(/\bneed\('(\w+)'/g)].map(([, one]) => one));
  return (Object.keys(CAPABILITIES) as Capability[]).filter((one) => found.includes(one));
}

const HOST_NAMES: Readonly<Record<HostKind, string>> = {
  workerd: 'workerd',
  node: 'Node',
  miniflare: 'Miniflare',
  cloudflare: 'Cloudflare',
};

function cell(capabilities: readonly Capability[], host: HostKind): string {
  const missing = capabilities.filter((one) => !HOST_CAPABILITIES[host].includes(one));
  return missing.length === 0 ? 'yes' : `without ${missing.map((one) => `\`${one}\``).join(', ')}`;
}

/** Rows of docs/kong-differences.md that name the plugin. */
function differencesOf(name: string): readonly (readonly string[])[] {
  const named = new RegExp(`(?<![\\w-])${name}(?![\\w-])`);
  return text('docs/kong-differences.md')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split(/(?<!\\) \| /).map((part) => part.replace(/^\| | ?\|$/g, '').trim()))
    .filter(([topic = '']) => named.test(topic));
}

function page(): string {
  const all = [...plugins.values()].filter(({ name }) => bundledPlugins.has(name));
  all.sort((a, b) => a.name.localeCompare(b.name));
  const rows = all.map((schema) => {
    const capabilities = capabilitiesOf(schema);
    const hosts = HOST_KINDS.map((host) => cell(capabilities, host));
    const link = differencesOf(schema.name).length > 0 ? `[\`${schema.name}\`](#${schema.name})` : `\`${schema.name}\``;
    return `| ${[link, schema.version, schema.priority, schema.phases.join(', '), ...hosts].join(' | ')} |`;
  });
  const used = (Object.keys(CAPABILITIES) as Capability[]).filter((one) =>
    all.some((schema) => capabilitiesOf(schema).includes(one)),
  );
  const sections = all.flatMap(({ name }) => {
    const rowsOf = differencesOf(name);
    return rowsOf.length === 0
      ? []
      : [
          `\n### ${name}\n\n| what | Kong | Holdfast |\n| --- | --- | --- |\n${rowsOf.map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`,
        ];
  });
  return `# Plugins

Made from the plugins' schemas, the hosts' capabilities and [what differs from Kong](kong-differences.md) by
\`npx vitest run test/plugins-page.test.ts -u\`; do not edit.

All ${all.length} plugins that are bundled with Kong 3.9. "without" names what a host cannot: a config that asks for it is refused for
data planes there, by name, and shown as a conflict at \`GET /clustering/data-planes/{id}\`; all else of the plugin runs.

| plugin | version | priority | phases | ${HOST_KINDS.map((host) => HOST_NAMES[host]).join(' | ')} |
| --- | --- | --- | --- | ${HOST_KINDS.map(() => '---').join(' | ')} |
${rows.join('\n')}

${used.map((one) => `- \`${one}\`: ${CAPABILITIES[one]}`).join('\n')}

## What differs from Kong

Plugins that are not named here differ in nothing of their own; what holds for all of them is in [differences](kong-differences.md).
${sections.join('')}`;
}

it('docs/plugins.md is what schemas, capabilities and differences say', async () => {
  await expect(page()).toMatchFileSnapshot('../docs/plugins.md');
});

it('each of the plugins bundled with Kong runs, or is refused by name where a host cannot', () => {
  expect(bundledPlugins.size).toBe(BUNDLED);
  const neither = [...bundledPlugins].flatMap((name) => {
    const schema = plugins.get(name);
    if (schema === undefined) return [`${name}: no schema`];
    const handler = handlers.get(name);
    if (handler === undefined) return [`${name}: nothing runs it`];
    const { version, priority } = schema;
    if (handler.version !== version || handler.priority !== priority) return [`${name}: another version or priority`];
    // A host without a process beside it has no UDP, files or syslog: whoever reaches for these has to say so.
    const source = text(`edge-dp/plugins/${name}.ts`);
    const reached = [
      ['datagram', 'udp'],
      ['append', 'files'],
      ['syslog', 'syslog'],
    ] as const;
    return reached
      .filter(([service]) => new RegExp(`services\\.${service}\\(`).test(source))
      .filter(([, capability]) => !capabilitiesOf(schema).includes(capability))
      .map(([service]) => `${name}: uses ${service}, and does not say so in its needs`);
  });
  expect(neither).toEqual([]);
});
