import type { Span } from './ast.ts';

/** An expression that is not valid; `message` shows the line, the place in it and what was expected there. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  /** 1-based; columns count characters. */
  readonly line: number;
  readonly column: number;
  /** The problem alone, without the excerpt. */
  readonly problem: string;

  constructor(source: string, span: Span, problem: string) {
    const before = source.slice(0, span.start);
    const lineStart = before.lastIndexOf('\n') + 1;
    const line = before.split('\n').length;
    const column = [...before.slice(lineStart)].length + 1;
    super(excerpt(source, span, lineStart, line, column, problem));
    this.line = line;
    this.column = column;
    this.problem = problem;
  }
}

/** The layout Kong's users know from its own expression errors. */
function excerpt(source: string, span: Span, lineStart: number, line: number, column: number, problem: string): string {
  const lineEnd = source.indexOf('\n', span.start);
  const text = source.slice(lineStart, lineEnd < 0 ? source.length : lineEnd);
  const width = Math.min(span.end, lineEnd < 0 ? source.length : lineEnd) - span.start;
  const mark = width < 2 ? '^---' : `^${'-'.repeat(width - 2)}^`;
  const gutter = ' '.repeat(String(line).length);
  const indent = ' '.repeat(column - 1);
  return `${gutter}--> ${line}:${column}\n${gutter} |\n${line} | ${text}\n${gutter} | ${indent}${mark}\n${gutter} |\n${gutter} = ${problem}`;
}
