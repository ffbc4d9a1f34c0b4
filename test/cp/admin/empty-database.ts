import type { AdminServer } from './admin-server.ts';

/** Children before parents. */
const COLLECTIONS = ['plugins', 'routes', 'services', 'consumers', 'consumer_groups', 'upstreams', 'certificates'];

/** Deletes everything through the API itself, so that each test starts from nothing. */
export async function emptyDatabase(admin: AdminServer): Promise<void> {
  const workspaces = (await admin.send('GET', '/workspaces')).rows;
  for (const workspace of workspaces) {
    for (const collection of COLLECTIONS) {
      const { rows } = await admin.send('GET', `/${workspace.name}/${collection}?size=1000`);
      await Promise.all(rows.map((row) => admin.send('DELETE', `/${workspace.name}/${collection}/${row.id}`)));
    }
    if (String(workspace.name) !== 'default') await admin.send('DELETE', `/workspaces/${workspace.id}`);
  }
}
