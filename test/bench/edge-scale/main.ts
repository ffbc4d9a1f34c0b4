/**
 * `npm run bench:edge [-- --whole]`: how the config of a node on Cloudflare fares with the number of its isolates. Time and network are simulated, and
 * stated in `network.ts`, `simulate.ts` and `prices.ts`; the questions, the sharing and the answers are the Worker's own. Without
 * `--whole` a tenth of the network is worked out, with an object that is slower by as much; all of it takes an hour.
 */
import { CLOUDFLARE } from './network.ts';
import { CHANGES, monthlyCost } from './prices.ts';
import { type Outcome, type Propagation, simulate } from './simulate.ts';

declare const process: { readonly argv: readonly string[] };

const PART = process.argv.includes('--whole') ? 1 : 0.1;
const SIZES = [1_000, 5_000, 20_000, 100_000] as const;

const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(1);
const propagation = ({ p50, p99, max, late, missing }: Propagation) =>
  `p50 ${seconds(p50)} s, p99 ${seconds(p99)} s, last ${seconds(max)} s, ${late} late${missing > 0 ? `, ${missing} MISSING` : ''}`;

function tell(size: number, shares: boolean, outcome: Outcome): void {
  const { steady, peak, peakAfterMove, refused, change, afterMove, steadyBytes, changeBytes, kvReads, changeRequests } =
    outcome;
  console.log(`${size} isolates, ${shares ? 'shared by colo' : 'each for itself'}`);
  console.log(
    `  requests to the object  ${steady.toFixed(0)}/s, ${peak.toFixed(0)}/s in the worst second of a change and ${peakAfterMove.toFixed(0)}/s after a move, ${refused.toFixed(0)} refused`,
  );
  console.log(`  a change                ${propagation(change)}`);
  console.log(`  made during a move      ${propagation(afterMove)}`);
  console.log(
    `  sent by the object      ${(steadyBytes / 1000).toFixed(1)} kB/s; ${(changeBytes / 1e6).toFixed(1)} MB for a change`,
  );
  console.log(
    `  for a change            ${changeRequests.toFixed(0)} requests to the object, ${kvReads.toFixed(0)} reads of KV`,
  );
  console.log(`  a month                 $${monthlyCost(outcome).toFixed(0)}, with ${CHANGES} changes`);
}

for (const size of SIZES) {
  for (const shares of [false, true]) {
    // Far beyond what an object can answer: it only takes long to see.
    if (!shares && size > 20_000) continue;
    tell(size, shares, await simulate({ isolates: size, shares, network: CLOUDFLARE, part: PART }));
  }
}
