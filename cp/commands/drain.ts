import { messageOf } from '../../shared/thrown.ts';
import { askInstance } from '../instance/ask.ts';
import { type Command, CommandError, type Invocation } from './command.ts';
import { instanceOf } from './ending.ts';

/** Milliseconds. */
const PATIENCE = 5000;

/** Has the Status API of a running instance say that it is not ready, so that load balancers send what is new elsewhere. */
export const drain: Command = {
  summary: 'have a running instance say that it takes nothing new: /status/ready answers 503',
  examples: ['holdfast drain', 'holdfast drain --prefix /var/lib/holdfast && sleep 30 && holdfast quit'],
  run: drainInstance,
};

async function drainInstance(invocation: Invocation): Promise<void> {
  const { pid, status } = instanceOf(invocation);
  if (status === undefined)
    throw new CommandError(`Holdfast (pid ${pid}) has no Status API to say so: set status_listen`);
  const url = `${status}/status/ready`;
  const answered = await askInstance(url, PATIENCE, '{"status":"draining"}').catch((error: unknown) => {
    throw new CommandError(`the Status API at ${url} does not answer (${messageOf(error)})`);
  });
  if (answered.status !== 204) throw new CommandError(`the Status API at ${url} answers ${answered.status}`);
  process.stdout.write(`Holdfast (pid ${pid}) is draining: /status/ready answers 503\n`);
}
