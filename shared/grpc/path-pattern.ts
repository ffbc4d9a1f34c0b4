/** The path of an HTTP binding as a regular expression, with what its groups are of. */
interface PathPattern {
  readonly source: string;
  /** Paths of fields, a group each. */
  readonly names: readonly string[];
}

const VARIABLE = /\{([-_.~0-9A-Za-z]+)(?:=([^}]*))?\}/g;

/** Both planes ask: the one whether it can be compiled, the other to compile it. */
export function pathPattern(path: string): PathPattern {
  const names: string[] = [];
  let source = '';
  let from = 0;
  for (const { 0: whole, 1: name = '', 2: segments = '*', index } of path.matchAll(VARIABLE)) {
    names.push(name);
    source += `${segmentsPattern(path.slice(from, index))}(${segmentsPattern(segments)})`;
    from = index + whole.length;
  }
  return { source: `^${source}${segmentsPattern(path.slice(from))}$`, names };
}

/** `*` is a segment, `**` any number of them. */
function segmentsPattern(text: string): string {
  return text
    .split(/(\*\*|\*)/)
    .map((part) => (part === '**' ? '.+' : part === '*' ? '[^/]+' : part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')))
    .join('');
}
