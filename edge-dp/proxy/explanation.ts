import type { BalancingExplanation, ExplainedTarget } from '../balancer/explain.ts';
import type { FieldList } from '../http/fields.ts';
import type { Explanation } from '../router/explain.ts';
import type { RouterRequest } from '../router/request.ts';

/** A request that is described, and not there. */
export interface ExplainedRequest extends RouterRequest {
  /** All it would have. */
  readonly headers: FieldList;
}

/** Who would be authenticated: ids of a consumer and of the groups it is in. */
export interface ExplainedCaller {
  readonly consumer: string | null;
  readonly groups: readonly string[];
}

/** What `POST /debug/route` answers: where a request would go, why not elsewhere, and which plugins it would meet. */
export interface RequestExplanation {
  readonly route: { readonly id: string; readonly name: string | null } | null;
  readonly service: { readonly id: string; readonly name: string | null } | null;
  readonly upstream: {
    readonly protocol: string;
    readonly host: string;
    readonly port: number;
    readonly path: string;
    /** The host is the name of an upstream, whose targets decide address and port. */
    readonly balanced: boolean;
    /** What it gets before plugins change any of it, in the spelling sent; null: only known when a request is there. */
    readonly headers: Readonly<Record<string, string | null>>;
    /** How one of the targets is chosen; null where none are. */
    readonly balancing: BalancingExplanation | null;
    readonly targets: readonly ExplainedTarget[];
  } | null;
  readonly captures: Readonly<Record<string, string>>;
  readonly winner: Explanation['winner'];
  readonly losers: Explanation['losers'];
  readonly omitted_losers: number;
  /** In the order they would run. */
  readonly plugins: readonly {
    readonly id: string;
    readonly name: string;
    readonly priority: number;
    readonly route: string | null;
    readonly service: string | null;
    readonly consumer: string | null;
    readonly consumer_group: string | null;
    readonly config: unknown;
  }[];
  /** The release that is tried on a part of the requests, and whether on this one; absent: there is none. */
  readonly release?: { readonly id: string; readonly percent: number; readonly by: string; readonly chosen: boolean };
}
