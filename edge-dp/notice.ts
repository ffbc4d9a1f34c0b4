/** What a line of the Worker's log begins with that is as weighty as nginx's `notice`: `console` has no such level. */
export const NOTICE = 'notice: ';

/** What lines begin with that are no log, but are to be written as they are to the standard output, or error, of the node. */
const OUTPUT = { stdout: 'stdout: ', stderr: 'stderr: ' } as const;

/** What goes before a line for the file of that path; null: it is an ordinary file. */
export function outputMark(path: string): string | null {
  if (path === '/dev/stdout') return OUTPUT.stdout;
  return path === '/dev/stderr' ? OUTPUT.stderr : null;
}

/** Such a line taken apart; null: it is none. */
export function outputOf(line: string): { readonly level: keyof typeof OUTPUT; readonly text: string } | null {
  if (line.startsWith(OUTPUT.stdout)) return { level: 'stdout', text: line.slice(OUTPUT.stdout.length) };
  if (line.startsWith(OUTPUT.stderr)) return { level: 'stderr', text: line.slice(OUTPUT.stderr.length) };
  return null;
}
