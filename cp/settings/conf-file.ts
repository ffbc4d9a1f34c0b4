/** One `name = value` of a configuration file. */
interface ConfLine {
  readonly name: string;
  readonly value: string;
  /** From 1. */
  readonly line: number;
}

/** A line that cannot be read, and why. */
interface ConfProblem {
  /** From 1. */
  readonly line: number;
  readonly fault: string;
}

/**
 * Reads the syntax of kong.conf: `name = value` lines, `#` comments (a `\#` is a plain one), values in optional single
 * or double quotes. Lines that are neither are given back as problems.
 */
export function parseConf(content: string): { lines: ConfLine[]; problems: ConfProblem[] } {
  const lines: ConfLine[] = [];
  const problems: ConfProblem[] = [];
  // Editors on Windows begin UTF-8 files with a byte order mark.
  for (const [index, raw] of content
    .replace(/^\ufeff/, '')
    .split(/\r\n?|\n/)
    .entries()) {
    const text = withoutComment(raw).trim();
    if (text === '') continue;
    const [, name, value] = /^([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined)
      problems.push({ line: index + 1, fault: `expected 'name = value', found '${text}'` });
    else if (isHalfQuoted(value))
      problems.push({
        line: index + 1,
        fault: `${name}: the value's quotes do not match; a # that begins no comment is written \\#`,
      });
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

/** Most often what is left of a quoted value in which a comment seemed to begin: a password cut short in silence. */
function isHalfQuoted(value: string): boolean {
  const [quote] = value;
  return (quote === '"' || quote === "'") && (value.length === 1 || !value.endsWith(quote));
}
