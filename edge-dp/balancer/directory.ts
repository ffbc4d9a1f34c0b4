import type { Address } from './address.ts';
import type { RecordType } from './name-resolution.ts';
import type { Target, Upstream } from './upstream.ts';

/** How a target's host was resolved. */
export interface TargetDns {
  /** The kind of record it leads by, for an address the kind it would; null: none is known. */
  readonly type: RecordType | null;
  /** The name was looked up and has never led anywhere. */
  readonly failed: boolean;
}

/** One upstream of a config as it may be looked at: what is configured and how its targets are. */
export interface BalancedUpstream {
  readonly upstream: Upstream;
  /** All of them, those of weight 0 included. */
  readonly targets: readonly Target[];
  /** What the targets lead to; one that is named may lead to several addresses. */
  readonly addresses: readonly Address[];
  /** What the targets must be looked up by. */
  readonly names: readonly string[];
  dnsOf(target: Target): TargetDns;
  /** Whether the address is one of these, or left so lately that it may come back as it was. */
  remembers(key: string): boolean;
  /** Whether enough of the weight is available for the upstream to be used at all. */
  readonly usable: boolean;
}

/** The upstreams of a config. */
export interface UpstreamDirectory {
  /** Another number whenever targets may have got addresses that they did not have before. */
  readonly version: number;
  byId(id: string): BalancedUpstream | undefined;
  /** By the ids of workspaces and the names of upstreams in them. */
  named(workspace: string, name: string): BalancedUpstream | undefined;
  /** The id of the workspace of that name. */
  workspace(name: string): string | undefined;
  all(): Iterable<BalancedUpstream>;
  /**
   * Looks up the names of targets that are due. Never rejects. Gives when the next is due, in milliseconds since the epoch;
   * null where no target has a name that must be looked up.
   */
  resolve(): Promise<number | null>;
}
