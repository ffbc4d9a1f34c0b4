import type { BalancedUpstream, UpstreamDirectory } from './directory.ts';

/**
 * The upstreams of two configs that are in force at a time, as one directory: those that are in both with the targets of either,
 * checked as the first config says.
 */
export function jointDirectory(first: UpstreamDirectory, second: UpstreamDirectory): UpstreamDirectory {
  return {
    get version() {
      return first.version + second.version;
    },
    byId: (id) => joint(first.byId(id), second.byId(id)),
    named: (workspace, name) => joint(first.named(workspace, name), second.named(workspace, name)),
    workspace: (name) => first.workspace(name) ?? second.workspace(name),
    *all() {
      for (const one of first.all()) yield joint(one, second.byId(one.upstream.id)) ?? one;
      for (const other of second.all()) if (first.byId(other.upstream.id) === undefined) yield other;
    },
    async resolve() {
      const [one, other] = await Promise.all([first.resolve(), second.resolve()]);
      return one === null || other === null ? (one ?? other) : Math.min(one, other);
    },
  };
}

/** Both, where the second is another; the first decides what is said of a target that is in both. */
function joint(
  first: BalancedUpstream | undefined,
  second: BalancedUpstream | undefined,
): BalancedUpstream | undefined {
  if (first === undefined || second === undefined || first === second) return first ?? second;
  return {
    upstream: first.upstream,
    get targets() {
      const own = new Set(first.targets.map(({ id }) => id));
      return [...first.targets, ...second.targets.filter(({ id }) => !own.has(id))];
    },
    get addresses() {
      const own = new Set(first.addresses.map(({ key }) => key));
      return [...first.addresses, ...second.addresses.filter(({ key }) => !own.has(key))];
    },
    names: [...new Set([...first.names, ...second.names])],
    dnsOf: (target) => (first.targets.includes(target) ? first : second).dnsOf(target),
    remembers: (key) => first.remembers(key) || second.remembers(key),
    get usable() {
      return first.usable;
    },
  };
}
