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
 * Reads the syntax of kong.conf: `name = value` lines, `#` comments (a `\#` is a plain one), lines that begin with `;`, which are
 * comments too, values in optional single or double quotes; a line that ends with a backslash goes on in the next one. Lines that are
 * neither are given back as problems.
 */
export function parseConf(content: string): { lines: ConfLine[]; problems: ConfProblem[] } {
  const lines: ConfLine[] = [];
  const problems: ConfProblem[] = [];
  for (const { raw, index } of wholeLines(content)) {
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

/** Lines as they are meant, with the index of the first they are made of; as in Kong a comment or an empty line in between goes unnoticed. */
function* wholeLines(content: string): Generator<{ raw: string; index: number }> {
  let begun: { raw: string; index: number } | null = null;
  // Editors on Windows begin UTF-8 files with a byte order mark.
  for (const [index, line] of content
    .replace(/^\ufeff/, '')
    .split(/\r\n?|\n/)
    .entries()) {
    if (/^\s*([#;]|$)/.test(line)) continue;
    const [, more] = /^(.*?)\\\s*$/.exec(line) ?? [];
    const whole: { raw: string; index: number } = {
      raw: `${begun?.raw ?? ''}${more ?? line}`,
      index: begun?.index ?? index,
    };
    begun = more === undefined ? null : whole;
    if (begun === null) yield whole;
  }
  if (begun !== null) yield begun;
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
