import { isRecord } from '../../../../shared/record.ts';

/** Who made a change, as the Admin API tells it. */
export interface Author {
  readonly via: string;
  readonly user: string | null;
  readonly address: string | null;
  readonly client: string | null;
}

/** What an event or a row says of it; null: nobody said. */
export function authorIn(told: unknown): Author | null {
  if (!isRecord(told)) return null;
  const text = (name: string): string | null => (typeof told[name] === 'string' ? told[name] : null);
  return { via: text('via') ?? '', user: text('user'), address: text('address'), client: text('client') };
}
