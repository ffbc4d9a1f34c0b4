import { format } from 'node:util';

/** Has `console` write what the supervisor reads: a line of JSON each, with its level. */
export function logToSupervisor(): void {
  const levels = { debug: 'info', log: 'info', info: 'info', warn: 'warn', error: 'error' } as const;
  for (const name of ['debug', 'log', 'info', 'warn', 'error'] as const) {
    console[name] = (...words: unknown[]): void => {
      process.stdout.write(`${JSON.stringify({ level: levels[name], message: format(...words) })}\n`);
    };
  }
}
