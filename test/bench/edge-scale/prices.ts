import type { Outcome } from './simulate.ts';
import type { TelemetryOutcome } from './telemetry.ts';

/**
 * Dollars, as Cloudflare publishes them for paid Workers plans (developers.cloudflare.com, pricing of Workers, Durable Objects and KV; 2026-11).
 * `included` is what a month has of it for nothing; `each` is for so many more.
 */
const PRICES = {
  objectRequests: { included: 1_000_000, price: 0.15, each: 1_000_000 },
  objectDuration: { included: 400_000, price: 12.5, each: 1_000_000 },
  rowsWritten: { included: 50_000_000, price: 1, each: 1_000_000 },
  kvReads: { included: 10_000_000, price: 0.5, each: 1_000_000 },
  kvWrites: { included: 1_000_000, price: 5, each: 1_000_000 },
} as const;
const PLAN = 5;

const MONTH = 30 * 86_400;
/** Gigabytes that an object is billed for while it is there, and this one always is: it has the link. */
const OBJECT_MEMORY = 0.128;
/** Changes of config in a month: one every quarter of an hour, day and night. */
export const CHANGES = 30 * 96;
/** Keys of KV written for one: objects, index, manifest. */
const WRITES = 4;

/** Dollars a month for the config of a node: what its requests cost is theirs, and not in it. */
export function monthlyCost({ steady, changeRequests, kvReads }: Outcome): number {
  return (
    PLAN +
    cost('objectRequests', steady * MONTH + changeRequests * CHANGES) +
    cost('objectDuration', OBJECT_MEMORY * MONTH) +
    cost('kvReads', kvReads * CHANGES) +
    cost('kvWrites', WRITES * CHANGES)
  );
}

/** Dollars a month more, for what it counts: an alarm is a row that is written, and an object is paid for while it is at work. */
export function monthlyTelemetryCost({ all, alarms, active }: TelemetryOutcome): number {
  return (
    cost('objectRequests', all * MONTH) +
    cost('rowsWritten', alarms * MONTH) +
    cost('objectDuration', OBJECT_MEMORY * (active + 1) * MONTH)
  );
}

function cost(what: keyof typeof PRICES, amount: number): number {
  const { included, price, each } = PRICES[what];
  return (Math.max(0, amount - included) / each) * price;
}
