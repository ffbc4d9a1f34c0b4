import type { Row } from '../../../shared/record.ts';

/** The `ca_certificates` of the config, by id. */
export interface Authorities {
  get(id: string): Authority | undefined;
  values(): Iterable<Authority>;
}

/** Who certificates may be signed by. */
export interface Authority {
  readonly id: string;
  /** PEM. */
  readonly cert: string;
  /** The whole entity. */
  readonly row: Row;
}
