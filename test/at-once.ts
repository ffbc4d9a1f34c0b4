import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Has two processes do the same at the same moment, `rounds` times, and tells of each round what each of the two got: null where it went
 * well, and otherwise the message of what was thrown. `script` is the body of an async function that is given `round`, which module
 * is at `module`, and `directory`; it gives what is to be called when both are through.
 */
export async function atOnce(
  rounds: number,
  script: string,
  module: string,
  directory: string,
): Promise<readonly (readonly (string | null)[])[]> {
  const both = [0, 1].map(() => spawnOne(script, module, directory));
  try {
    const outcomes: (string | null)[][] = [];
    await Promise.all(both.map((child) => answerOf(child)));
    for (let round = 0; round < rounds; round++) {
      outcomes.push(await ask(both, round));
      await ask(both, null);
    }
    return outcomes;
  } finally {
    for (const child of both) child.kill('SIGKILL');
  }
}

function spawnOne(script: string, module: string, directory: string): ChildProcess {
  const source = `
    const module = await import(${JSON.stringify(module)});
    const directory = ${JSON.stringify(directory)};
    let end = () => undefined;
    process.on('message', async ({ round }) => {
      let outcome = null;
      try {
        if (round === null) await end?.();
        else end = await (async () => { ${script} })();
      } catch (error) {
        outcome = error.message;
        end = undefined;
      }
      process.send({ outcome });
    });
    process.send({ outcome: null });
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

function ask(both: readonly ChildProcess[], round: number | null): Promise<(string | null)[]> {
  const answers = Promise.all(both.map((child) => answerOf(child)));
  for (const child of both) child.send({ round });
  return answers;
}

function answerOf(child: ChildProcess): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`a process ended with ${code}`));
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      const { outcome } = message as { outcome: string | null };
      resolve(outcome);
    });
  });
}
