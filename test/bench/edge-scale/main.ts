/**
 * `npm run bench:edge [-- --whole]`: how a node on Cloudflare fares with the number of its isolates: its config, and what it counts of requests.
 * Time and network are simulated, and stated in `network.ts`, `population.ts`, `simulate.ts`, `telemetry.ts` and `prices.ts`; the questions, the
 * sharing, the answers and the sums are the Worker's own. Without `--whole` a tenth of the network is worked out for config, with an object that is
 * slower by as much; all of it takes some fifteen minutes.
 */
import { CLOUDFLARE } from './network.ts';
import { CHANGES, monthlyCost, monthlyTelemetryCost } from './prices.ts';
import { type Outcome, type Propagation, simulate } from './simulate.ts';
import { simulateTelemetry, type TelemetryOutcome } from './telemetry.ts';

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

function tellTelemetry(size: number, summed: boolean, outcome: TelemetryOutcome): void {
  const { keeper, busiest, worst, all, refused, lag, bytes, counted, arrived } = outcome;
  console.log(`${size} isolates, telemetry ${summed ? 'summed by colo' : 'of each by itself'}`);
  console.log(
    `  requests to the keeper  ${keeper.toFixed(0)}/s, ${refused.toFixed(0)}/s refused; ${all.toFixed(0)}/s to all`,
  );
  if (summed)
    console.log(
      `  to the busiest colo's   ${busiest.toFixed(0)}/s, ${worst} in the worst second while all of them begin`,
    );
  console.log(`  a request is told of    p50 ${seconds(lag.p50)} s, p99 ${seconds(lag.p99)} s later`);
  console.log(`  to the keeper           ${(bytes / 1000).toFixed(0)} kB/s`);
  console.log(`  lost                    ${counted - arrived} of ${counted} requests`);
  console.log(`  a month                 $${monthlyTelemetryCost(outcome).toFixed(0)}`);
}

for (const size of SIZES) {
  for (const shares of [false, true]) {
    // Far beyond what an object can answer: it only takes long to see.
    if (!shares && size > 20_000) continue;
    tell(size, shares, await simulate({ isolates: size, shares, network: CLOUDFLARE, part: PART }));
  }
}
for (const size of SIZES) {
  for (const summed of [false, true]) {
    if (!summed && size > 5_000) continue;
    tellTelemetry(size, summed, await simulateTelemetry({ isolates: size, summed, network: CLOUDFLARE }));
  }
}
