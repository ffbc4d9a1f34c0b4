import type { Command, Option } from './command.ts';

/** The options that every command takes. */
export const COMMON_OPTIONS = {
  conf: { short: 'c', takes: 'FILE', text: 'settings file (default: ./holdfast.conf, then those of /etc)' },
  prefix: { short: 'p', takes: 'DIR', text: 'folder of everything Holdfast keeps (default: .holdfast)' },
  help: { short: 'h', text: 'this text' },
} as const satisfies Readonly<Record<string, Option>>;

export type Commands = Readonly<Record<string, Command>>;

/** What `holdfast --help` prints. */
export function usage(commands: Commands): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const);
  return `Usage: holdfast COMMAND [options]

${table(rows)}
Options of every command:
${table(optionRows(COMMON_OPTIONS))}
'holdfast COMMAND --help' tells the rest. Settings come from the file and from HOLDFAST_<NAME> (or KONG_<NAME>) in the environment.
`;
}

/** What `holdfast COMMAND --help` prints: forms, options with their defaults, examples, exit codes. */
export function commandUsage(
  name: string,
  { summary, forms, options = {}, examples, exitCodes = {} }: Command,
): string {
  const head =
    forms === undefined
      ? `Usage: holdfast ${name} [options]\n\n  ${summary}\n`
      : `Usage: holdfast ${name} [options], with one of\n\n${table(Object.entries(forms))}`;
  const codes = { 0: 'done', 1: 'failed, with the reason on standard error', 2: 'asked for wrongly', ...exitCodes };
  return `${head}
Options:
${table([...optionRows(options), ...optionRows(COMMON_OPTIONS)])}
Examples:
${examples.map((example) => `  ${example}\n`).join('')}
Exit codes:
${table(Object.entries(codes))}`;
}

function optionRows(options: Readonly<Record<string, Option>>): (readonly [string, string])[] {
  return Object.entries(options).map(([name, { short, takes, text }]) => {
    const value = takes === undefined ? '' : ` ${takes}`;
    return [`${short === undefined ? '    ' : `-${short}, `}--${name}${value}`, text] as const;
  });
}

/** Two columns; the first is as wide as its widest, and a line of its own where that is too much. */
function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.min(34, Math.max(...rows.map(([first]) => first.length)));
  return rows
    .map(([first, second]) =>
      first.length > width
        ? `  ${first}\n  ${' '.repeat(width)}  ${second}\n`
        : `  ${first.padEnd(width)}  ${second}\n`,
    )
    .join('');
}
