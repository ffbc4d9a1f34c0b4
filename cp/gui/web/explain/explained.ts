import type { Balancing, ExplainedTarget } from './choice.ts';

/** What `POST /debug/route` answers, as far as it is shown. */
export interface Explained {
  readonly data_plane: string;
  readonly route: Named | null;
  readonly service: Named | null;
  readonly upstream: {
    readonly protocol: string;
    readonly host: string;
    readonly port: number;
    readonly path: string;
    readonly balanced: boolean;
    /** Null: only known when a request is there. Absent: a data plane of an earlier version does not tell. */
    readonly headers?: Readonly<Record<string, string | null>>;
    /** Absent: a data plane of an earlier version does not tell. */
    readonly balancing?: Balancing | null;
    readonly targets: readonly ExplainedTarget[];
  } | null;
  readonly winner: { readonly expression: string } | null;
  readonly losers: readonly {
    readonly route: Named;
    readonly reason:
      | { readonly kind: 'condition'; readonly condition: string }
      | { readonly kind: 'priority'; readonly message: string };
  }[];
  readonly omitted_losers: number;
  readonly plugins: readonly {
    readonly id: string;
    readonly name: string;
    readonly priority: number;
    readonly route: string | null;
    readonly service: string | null;
    readonly consumer: string | null;
    readonly consumer_group: string | null;
  }[];
}

interface Named {
  readonly id: string;
  readonly name: string | null;
}
