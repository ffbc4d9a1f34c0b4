/** One `name = value` of a configuration file. */
export interface ConfLine {
  readonly name: string;
  readonly value: string;
  /** From 1. */
  readonly line: number;
}

/**
 * Reads the syntax of kong.conf: `name = value` lines, `#` comments (a `\#` is a plain one), values in optional single
 * or double quotes. Lines that are neither are given back as problems.
 */
export function parseConf(content: string): { lines: ConfLine[]; problems: { line: number; text: string }[] } {
  const lines: ConfLine[] = [];
  const problems: { line: number; text: string }[] = [];
  for (const [index, raw] of content.split(/\r?\n/).entries()) {
    const text = withoutComment(raw).trim();
    if (text === '') continue;
    const [, name, value] = /^([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined) problems.push({ line: index + 1, text });
    else lines.push({ name: name.toLowerCase(), value: unquote(value), line: index + 1 });
  }
  return { lines, problems };
}

function withoutComment(line: string): string {
  return line.replace(/(^|[^\\])#.*$/, '$1').replaceAll('\\#', '#');
}

function unquote(value: string): string {
  const [, double, single] = /^(?:"(.*)"|'(.*)')$/s.exec(value) ?? [];
  return double ?? single ?? value;
}
