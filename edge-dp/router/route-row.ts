/** The fields of a `routes` row the router reads, as they travel in the bundle. */
export interface RouteRow {
  readonly id: string;
  readonly name?: string | null;
  readonly protocols: readonly string[] | null;
  readonly methods?: readonly string[] | null;
  readonly hosts?: readonly string[] | null;
  readonly paths?: readonly string[] | null;
  readonly headers?: Readonly<Record<string, readonly string[]>> | null;
  readonly snis?: readonly string[] | null;
  readonly sources?: readonly Endpoint[] | null;
  readonly destinations?: readonly Endpoint[] | null;
  readonly regex_priority?: number | null;
  readonly expression?: string | null;
  readonly priority?: number | null;
  readonly created_at?: number | null;
}

/** An address or CIDR block, a port, or both. */
export interface Endpoint {
  readonly ip?: string | null;
  readonly port?: number | null;
}

/** Which rules of precedence and which fields routes have: Kong's `router_flavor`. */
export type RouterFlavor = 'traditional_compatible' | 'expressions' | 'traditional';
