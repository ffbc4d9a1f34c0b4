import { DEFAULT_WORKSPACE } from '../../shared/workspace.ts';
import type { ConfigChanges, TableChanges } from '../config/changes.ts';
import { PersistentMap } from '../config/persistent-map.ts';
import { RowReader } from '../config/row.ts';
import { Balancer } from './balancer.ts';
import type { UpstreamDirectory } from './directory.ts';
import type { NameTable } from './name-table.ts';
import { readTarget, readUpstream, type Target, type Upstream } from './upstream.ts';

interface Tables {
  readonly upstreams: PersistentMap<Upstream>;
  readonly targets: PersistentMap<Target>;
  /** Targets by upstream and then by id. */
  readonly targetsOf: PersistentMap<PersistentMap<Target>>;
  /** By workspace and name: two workspaces may use the same name. */
  readonly byName: PersistentMap<Balancer>;
  /** Ids of workspaces by name; the default one need not be among them. */
  readonly workspaces: PersistentMap<string>;
  /** Null where the runtime alone resolves names. */
  readonly names: NameTable | null;
}

/** The balancers of one config, found by the upstream's workspace and name. Immutable; a change makes those it concerns anew. */
export class Balancers implements UpstreamDirectory {
  readonly #tables: Tables;
  /** By service, so that a request makes no key; null: its host is no upstream. */
  readonly #ofServices = new WeakMap<object, Balancer | null>();

  private constructor(tables: Tables) {
    this.#tables = tables;
  }

  static empty(names: NameTable | null = null): Balancers {
    return new Balancers({
      upstreams: PersistentMap.empty(),
      targets: PersistentMap.empty(),
      targetsOf: PersistentMap.empty(),
      byName: PersistentMap.empty(),
      workspaces: PersistentMap.empty(),
      names,
    });
  }

  get version(): number {
    return this.#tables.names?.version ?? 0;
  }

  /** Of a service that does not change; its host is an upstream's name in its workspace, or an address. */
  of(service: { readonly workspace: string; readonly host: string }): Balancer | undefined {
    let balancer = this.#ofServices.get(service);
    if (balancer === undefined) {
      balancer = this.named(service.workspace, service.host) ?? null;
      this.#ofServices.set(service, balancer);
    }
    return balancer ?? undefined;
  }

  /** By the workspace and host of a service. */
  named(workspace: string, host: string): Balancer | undefined {
    return this.#tables.byName.get(nameKey({ workspace, name: host }));
  }

  byId(id: string): Balancer | undefined {
    const { upstreams, byName } = this.#tables;
    const upstream = upstreams.get(id);
    return upstream && byName.get(nameKey(upstream));
  }

  workspace(name: string): string | undefined {
    return this.#tables.workspaces.get(name) ?? (name === DEFAULT_WORKSPACE.name ? DEFAULT_WORKSPACE.id : undefined);
  }

  all(): Iterable<Balancer> {
    return this.#tables.byName.values();
  }

  async resolve(): Promise<number | null> {
    const names = new Set<string>();
    for (const balancer of this.all()) for (const name of balancer.names) names.add(name);
    return names.size === 0 || this.#tables.names === null ? null : this.#tables.names.refresh(names);
  }

  /** Throws `ConfigError` naming the row that does not compile. */
  update(changes: ConfigChanges): Balancers {
    const upstreamChanges = changes.get('upstreams');
    const targetChanges = changes.get('targets');
    const workspaces = updatedWorkspaces(this.#tables.workspaces, changes.get('workspaces'));
    if (upstreamChanges === undefined && targetChanges === undefined && workspaces === this.#tables.workspaces)
      return this;
    const { names } = this.#tables;
    let { upstreams, targets, targetsOf, byName } = this.#tables;
    const touched = new Set<string>();

    const removeTarget = (id: string): void => {
      const old = targets.get(id);
      if (old === undefined) return;
      touched.add(old.upstream);
      targets = targets.delete(id);
      const rest = (targetsOf.get(old.upstream) ?? PersistentMap.empty<Target>()).delete(id);
      targetsOf = rest.size === 0 ? targetsOf.delete(old.upstream) : targetsOf.set(old.upstream, rest);
    };
    for (const id of targetChanges?.deletes ?? []) removeTarget(id);
    for (const row of targetChanges?.upserts ?? []) {
      removeTarget(row.id);
      const target = readTarget(row);
      touched.add(target.upstream);
      targets = targets.set(row.id, target);
      const siblings = targetsOf.get(target.upstream) ?? PersistentMap.empty<Target>();
      targetsOf = targetsOf.set(target.upstream, siblings.set(row.id, target));
    }

    const before = new Map<string, Balancer>();
    const forget = (id: string): void => {
      const old = upstreams.get(id);
      const balancer = old === undefined ? undefined : byName.get(nameKey(old));
      if (old === undefined || balancer === undefined) return;
      before.set(id, balancer);
      byName = byName.delete(nameKey(old));
    };
    for (const id of upstreamChanges?.deletes ?? []) {
      forget(id);
      upstreams = upstreams.delete(id);
      touched.delete(id);
    }
    for (const row of upstreamChanges?.upserts ?? []) {
      forget(row.id);
      upstreams = upstreams.set(row.id, readUpstream(row));
      touched.add(row.id);
    }

    const now = Date.now();
    for (const id of touched) {
      const upstream = upstreams.get(id);
      if (upstream === undefined) continue;
      // Targets in one order whatever the order they came in, so that every isolate builds the same.
      const own = [...(targetsOf.get(id)?.values() ?? [])].sort((a, b) => (a.id < b.id ? -1 : 1));
      const old = before.get(id) ?? byName.get(nameKey(upstream)) ?? null;
      const known = old?.upstream.id === id ? old : null;
      byName = byName.set(nameKey(upstream), new Balancer(upstream, own, known, names, now));
    }
    return new Balancers({ upstreams, targets, targetsOf, byName, workspaces, names });
  }
}

/** Few and seldom changed: rows that went are found by looking at all. */
function updatedWorkspaces(before: PersistentMap<string>, changes: TableChanges | undefined): PersistentMap<string> {
  if (changes === undefined) return before;
  const gone = new Set([...changes.deletes, ...changes.upserts.map(({ id }) => id)]);
  let next = before;
  for (const [name, id] of before.entries()) if (gone.has(id)) next = next.delete(name);
  for (const row of changes.upserts) next = next.set(new RowReader('workspaces', row).string('name'), row.id);
  return next;
}

function nameKey({ workspace, name }: Pick<Upstream, 'workspace' | 'name'>): string {
  return `${workspace}|${name}`;
}
