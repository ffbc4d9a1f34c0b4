/** What became of config at a data plane. */
export interface NodeStep {
  /** Unix seconds with fractions, by the database's clock. */
  readonly at: number;
  readonly change: 'applied' | 'rejected' | 'withheld';
  /** What it applied or refused; null: of what is withheld, or where it did not say. */
  readonly serial: number | null;
  readonly config_hash: string | null;
  /** Why, unless it was applied; its first 500 characters. */
  readonly reason: string | null;
}
