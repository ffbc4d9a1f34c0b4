import type { BundleRow } from '../../shared/bundle/format.ts';

/** Names in rows, with their workspaces; each may be another row's by the time the first lets go of it. */
export class Names {
  readonly #field: 'name' | 'host';
  readonly #byId = new Map<string, string>();
  #names: Set<string> | null = null;

  constructor(field: 'name' | 'host') {
    this.#field = field;
  }

  has(name: string, workspace?: unknown): boolean {
    this.#names ??= new Set(this.#byId.values());
    return this.#names.has(nameKey(name, workspace));
  }

  add(rows: readonly BundleRow[]): void {
    for (const { id, ws_id: workspace, [this.#field]: name } of rows)
      this.#byId.set(id, nameKey(String(name), workspace));
    this.#names = null;
  }

  remove(rows: readonly BundleRow[]): void {
    for (const { id } of rows) this.#byId.delete(id);
    this.#names = null;
  }
}

function nameKey(name: string, workspace: unknown): string {
  return typeof workspace === 'string' ? `${workspace} ${name}` : name;
}
