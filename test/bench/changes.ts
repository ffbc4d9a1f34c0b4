import { admin } from '../e2e/processes.ts';
import { alternate, figuresOf, type Measured } from './compare.ts';
import { load } from './processes.ts';
import type { Rival } from './rival.ts';

export const CHANGE_SCENARIOS = ['changes: none', 'changes: one every 200 ms'] as const;

const EVERY = 200;

/** The same route while nothing changes, and while another one does all the time: `p99` is what is to be compared. */
export async function measureChanges(
  api: string,
  ours: Rival,
  path: string,
  { connections, seconds, rounds }: { readonly connections: number; readonly seconds: number; readonly rounds: number },
): Promise<Measured[]> {
  const { id } = await admin(`${api}/services/bench/routes`, 'POST', { paths: ['/changing'] });
  const quiet = () => load(ours.ports.plain ?? 0, path, { connections, seconds });
  let count = 0;
  const changing = async () => {
    let failed: unknown = null;
    const change = setInterval(() => {
      admin(`${api}/routes/${id}`, 'PATCH', { paths: ['/changing', `/changed-${count++}`] }).catch((error: unknown) => {
        failed = error;
      });
    }, EVERY);
    const seen = await quiet().finally(() => clearInterval(change));
    if (failed !== null) throw failed;
    return seen;
  };
  const { pid } = ours.child;
  const turns = [
    { name: 'quiet', pid, load: quiet },
    { name: 'changing', pid, load: changing },
  ];
  const measured = await alternate('changes', turns, rounds);
  return CHANGE_SCENARIOS.map((scenario, place) => ({ scenario, ...figuresOf(measured[place] ?? []), rivals: {} }));
}
