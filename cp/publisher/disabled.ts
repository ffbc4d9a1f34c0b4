import type { BundleRow } from '../../shared/bundle/format.ts';

/** Rows to put in and ids to take out, by table. */
export type RowChanges = Map<string, { upserts: BundleRow[]; deletes: string[] }>;

/** The tables whose rows may be left out. */
export const HIDEABLE: ReadonlySet<string> = new Set(['services', 'routes', 'plugins']);

/** Reads rows the bundle holds now. */
type ReadPublished = (table: string, ids: readonly string[]) => Promise<readonly BundleRow[]>;

/**
 * Leaves out what Kong's export leaves out: disabled services with their routes, the plugins of both, and disabled
 * plugins. Remembers who belongs to whom, so that switching a service costs as much as the service has rows.
 */
export class DisabledRows {
  readonly #services = new Set<string>();
  /** Rows left out, whole, to put back when they are switched on. */
  readonly #hidden = { services: new Rows(), routes: new Rows(), plugins: new Rows() };
  readonly #routesOf = new Children();
  readonly #pluginsOf = new Children();

  /** How many rows are left out. */
  get size(): number {
    return this.#hidden.services.size + this.#hidden.routes.size + this.#hidden.plugins.size;
  }

  /** Turns changes of the database into changes of the bundle. */
  async filter(changes: RowChanges, read: ReadPublished): Promise<RowChanges> {
    const result: RowChanges = new Map(changes);
    const services = this.#filterServices(changes);
    const routes = await this.#filterRoutes(changes, services.switched, read);
    const plugins = await this.#filterPlugins(changes, [...services.switched, ...routes.switched], read);
    for (const [table, filtered] of Object.entries({ services, routes, plugins })) {
      if (filtered.upserts.length + filtered.deletes.length > 0) result.set(table, filtered);
      else result.delete(table);
    }
    return result;
  }

  #filterServices(changes: RowChanges): Filtered {
    const filtered = new Filtered(changes.get('services')?.deletes ?? []);
    for (const id of filtered.deletes) {
      if (this.#services.delete(id)) filtered.switched.push(id);
      this.#hidden.services.delete(id);
    }
    for (const row of changes.get('services')?.upserts ?? []) {
      const disabled = row.enabled === false;
      if (disabled !== this.#services.has(row.id)) filtered.switched.push(row.id);
      if (disabled) this.#services.add(row.id);
      else this.#services.delete(row.id);
      filtered.place(row, disabled, this.#hidden.services);
    }
    return filtered;
  }

  async #filterRoutes(changes: RowChanges, services: readonly string[], read: ReadPublished): Promise<Filtered> {
    const filtered = new Filtered(changes.get('routes')?.deletes ?? []);
    for (const id of filtered.deletes) {
      this.#routesOf.set(id, []);
      if (this.#hidden.routes.delete(id)) filtered.switched.push(id);
    }
    const changed = changes.get('routes')?.upserts ?? [];
    for (const row of changed) this.#routesOf.set(row.id, [foreign(row, 'service')]);
    const indirect = await affected('routes', services, this.#routesOf, this.#hidden.routes, changed, read);
    for (const row of [...changed, ...indirect]) {
      const hide = this.#services.has(foreign(row, 'service') ?? '');
      if (hide !== this.#hidden.routes.has(row.id)) filtered.switched.push(row.id);
      filtered.place(row, hide, this.#hidden.routes);
    }
    return filtered;
  }

  async #filterPlugins(changes: RowChanges, parents: readonly string[], read: ReadPublished): Promise<Filtered> {
    const filtered = new Filtered(changes.get('plugins')?.deletes ?? []);
    for (const id of filtered.deletes) {
      this.#pluginsOf.set(id, []);
      this.#hidden.plugins.delete(id);
    }
    const changed = changes.get('plugins')?.upserts ?? [];
    for (const row of changed) this.#pluginsOf.set(row.id, [foreign(row, 'service'), foreign(row, 'route')]);
    const indirect = await affected('plugins', parents, this.#pluginsOf, this.#hidden.plugins, changed, read);
    for (const row of [...changed, ...indirect]) {
      const hide =
        row.enabled === false ||
        this.#services.has(foreign(row, 'service') ?? '') ||
        this.#hidden.routes.has(foreign(row, 'route') ?? '');
      filtered.place(row, hide, this.#hidden.plugins);
    }
    return filtered;
  }
}

/** One table's part of the answer. */
class Filtered {
  readonly upserts: BundleRow[] = [];
  readonly deletes: string[];
  /** Rows that went out of the bundle or came back: their children must be looked at. */
  readonly switched: string[] = [];

  constructor(deletes: readonly string[]) {
    this.deletes = [...deletes];
  }

  place(row: BundleRow, hide: boolean, hidden: Rows): void {
    if (hide) {
      hidden.set(row.id, row);
      this.deletes.push(row.id);
    } else {
      hidden.delete(row.id);
      this.upserts.push(row);
    }
  }
}

class Rows extends Map<string, BundleRow> {}

/** Children of rows: routes of a service, plugins of a service or route. */
class Children {
  readonly #children = new Map<string, Set<string>>();
  readonly #parents = new Map<string, readonly string[]>();

  set(child: string, parents: readonly (string | null)[]): void {
    for (const parent of this.#parents.get(child) ?? []) {
      const siblings = this.#children.get(parent);
      siblings?.delete(child);
      if (siblings?.size === 0) this.#children.delete(parent);
    }
    const present = parents.filter((parent) => parent !== null);
    if (present.length === 0) {
      this.#parents.delete(child);
      return;
    }
    this.#parents.set(child, present);
    for (const parent of present) {
      const siblings = this.#children.get(parent);
      if (siblings === undefined) this.#children.set(parent, new Set([child]));
      else siblings.add(child);
    }
  }

  of(parent: string): Iterable<string> {
    return this.#children.get(parent) ?? [];
  }
}

/** The children of switched parents that did not change themselves, whether the bundle holds them now or not. */
async function affected(
  table: string,
  parents: readonly string[],
  children: Children,
  hidden: Rows,
  changed: readonly BundleRow[],
  read: ReadPublished,
): Promise<readonly BundleRow[]> {
  if (parents.length === 0) return [];
  const known = new Set(changed.map((row) => row.id));
  const rows: BundleRow[] = [];
  const published: string[] = [];
  for (const parent of parents) {
    for (const id of children.of(parent)) {
      if (known.has(id)) continue;
      known.add(id);
      const row = hidden.get(id);
      if (row === undefined) published.push(id);
      else rows.push(row);
    }
  }
  return published.length === 0 ? rows : [...rows, ...(await read(table, published))];
}

function foreign(row: BundleRow, field: string): string | null {
  const value = row[field];
  return typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string' ? value.id : null;
}
