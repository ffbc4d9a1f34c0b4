import { Histogram } from '../metrics/histogram.ts';

/** How the database answers. */
export class StoreFigures {
  readonly statements = new Histogram(
    'holdfast_database_statement_seconds',
    'How long single statements took, the wait for a connection included',
  );
  readonly transactions = new Histogram(
    'holdfast_database_transaction_seconds',
    'How long transactions took from their beginning to their commit, the wait for a connection included',
  );
}

/** The connections to a server. */
export interface ConnectionPool {
  readonly open: number;
  /** Of those: the ones nobody uses now. */
  readonly idle: number;
  /** What waits for one. */
  readonly waiting: number;
  /** How many there can be. */
  readonly most: number;
}
