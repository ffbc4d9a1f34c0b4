import type { DataPlaneOptions } from './options.ts';

/** Writes a line for the node's standard output or error as it is. */
export function writeOutput(
  { output, log }: Pick<DataPlaneOptions, 'output' | 'log'>,
  to: 'stdout' | 'stderr',
  line: string,
): void {
  if (output === undefined) log('info', line);
  else output(to, line);
}
