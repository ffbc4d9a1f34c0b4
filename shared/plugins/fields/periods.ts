import { defineField } from '../../schema/vocabulary.ts';

const limit = defineField({ type: 'number', gt: 0 });

/** Requests allowed per period. */
export const periods = {
  second: { ...limit, description: 'Requests in a second.' },
  minute: { ...limit, description: 'Requests in a minute.' },
  hour: { ...limit, description: 'Requests in an hour.' },
  day: { ...limit, description: 'Requests in a day.' },
  month: { ...limit, description: 'Requests in a month.' },
  year: { ...limit, description: 'Requests in a year.' },
} as const;

export const PERIODS = ['second', 'minute', 'hour', 'day', 'month', 'year'] as const;

/** A longer period must not allow less than a shorter one. `subject` begins the text. */
export function periodOrderError(limits: Readonly<Record<string, unknown>>, subject: string): string | undefined {
  for (const [i, shorter] of PERIODS.entries()) {
    const low = limits[shorter];
    if (typeof low !== 'number') continue;
    for (const longer of PERIODS.slice(i + 1)) {
      const high = limits[longer];
      if (typeof high === 'number' && high < low) {
        const [less, more] = [high.toFixed(1), low.toFixed(1)];
        return `${subject} for ${longer}(${less}) cannot be lower than the limit for ${shorter}(${more})`;
      }
    }
  }
  return undefined;
}
