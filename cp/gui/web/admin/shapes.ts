/** `GET /`, as far as it is shown. */
export interface Information {
  readonly version: string;
  readonly hostname: string;
  readonly node_id: string;
  readonly plugins: { readonly available_on_server: Readonly<Record<string, unknown>> };
  readonly configuration: Readonly<Record<string, unknown>>;
}

/** `GET /status`, as far as it is shown. */
export interface Status {
  readonly database: { readonly reachable: boolean };
  /** Absent where there are no data planes to speak of. */
  readonly data_planes?: {
    readonly connected: number;
    readonly withheld: number;
    readonly unpublished: string | null;
  };
}

/** `GET /groups/{group}`. */
export interface Group {
  readonly name: string;
  readonly publish?: 'immediate' | 'release';
  readonly labels?: string | null;
  readonly select_tags?: string | null;
  readonly trouble: string | null;
  readonly serial: number | null;
  readonly config_hash: string | null;
}

/** A row of `GET /expirations`. */
export interface Expiration {
  readonly entity: string;
  readonly id: string;
  readonly name: string | null;
  /** Null: it is of all workspaces. */
  readonly workspace: string | null;
  readonly expires_at: number;
}

/** A page of a list. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly next: string | null;
  readonly offset?: string;
}
