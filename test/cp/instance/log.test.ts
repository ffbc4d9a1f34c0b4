import { expect, it } from 'vitest';
import { createLog } from '../../../cp/instance/log.ts';

it('a message is one entry of the log, and moves no cursor, whatever is in it', () => {
  const lines: string[] = [];
  const hostile = 'über\tnode\r2026 [info] all is well\u001b[2J\u0085\u202etxt\u2028next';
  createLog('info', (line) => lines.push(line)).part('cluster')('warn', `${hostile}\nwhat else`);
  expect(lines).toEqual([
    expect.stringMatching(
      /^\S+ \[warn\] cluster: über\tnode\\u000d2026 \[info\] all is well\\u001b\[2J\\u0085\\u202etxt\\u2028next\n {4}what else\n$/,
    ),
  ]);
});
