/** Made with the database; Kong gives it the same id in every DB-less installation. */
export const DEFAULT_WORKSPACE = { id: '0dc6f45b-8f8d-40d2-a504-473544ee190b', name: 'default' } as const;

/** The workspace a row of the bundle belongs to; rows that do not say so are of the default one. */
export function workspaceOf(row: Readonly<Record<string, unknown>>): string {
  return typeof row.ws_id === 'string' ? row.ws_id : DEFAULT_WORKSPACE.id;
}
